package lock_test
import ("testing";"github.com/dirlock/dirlock/internal/testutil/explore")
func allStarts(kinds string, n int) (out []string) {
	if n == 0 { return []string{""} }
	for _, rest := range allStarts(kinds, n-1) { for _, k := range kinds { out = append(out, string(k)+rest) } }
	return out
}
func TestTmp(t *testing.T) {
	for _, c := range []explore.Config{
		{Name: "5x2", Procs: alike(5, twice), Deaths: 3, Start: []string{"-"}, Lone: once},
	} {
		r := explore.Explore(&c)
		t.Log(r)
		if r.Violation != nil {
			t.Error(r.Violation.Property, r.Violation.Detail, r.Violation)
		}
	}
}
func TestProf(t *testing.T) {
	for _, c := range []explore.Config{
		{Name: "4x2", Procs: alike(4, twice), Deaths: 2, Start: []string{"-","SS"}, Lone: once},
	} {
		r := explore.Explore(&c)
		t.Log(r)
	}
}
