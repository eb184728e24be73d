//go:build !unix || linux

package cli

// decoyArg is of no use here: no decoy is a program of its own.
const decoyArg = "--decoy"

func runDecoy() {}
