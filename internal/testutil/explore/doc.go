// Package explore runs the code of package lock through every interleaving of a
// few invented processes, with deaths, errors and meddlers in between, and checks
// after every step what docs/protocol.md promises. See docs/explorer.md.
package explore
