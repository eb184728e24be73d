// Command dirlock runs a command while it holds the lock of a directory, and
// tells who holds one. See "dirlock help".
package main

import "github.com/dirlock/dirlock/internal/cli"

func main() { cli.Main(cli.Files) }
