// bcryptprimitives.dll for wine before 9.0, which lacks it: programs of Go ask
// it for random numbers. Wine has the older function that gives them.
#include <windows.h>

BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG size); // RtlGenRandom, of advapi32.dll

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T size)
{
	return SystemFunction036(buffer, (ULONG)size);
}
