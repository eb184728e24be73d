// Command dirlock runs a command while it holds the lock of a directory, and
// tells who holds one. See "dirlock help".
package main

import "os"

func main() { os.Exit(execute(os.Args[1:])) }
