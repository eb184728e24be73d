# Reads a profile of go test -coverprofile, and fails if a package has less than
# min percent of its statements covered. Every test binary reports every block:
# a block counts as covered if it is in one of them.
NR > 1 {
	block = $1
	statements[block] = $2
	if ($3 > 0) covered[block] = 1
}
END {
	for (block in statements) {
		pkg = block
		sub(/\/[^\/]*$/, "", pkg)
		all[pkg] += statements[block]
		if (block in covered) done[pkg] += statements[block]
	}
	for (pkg in all) {
		percent = 100 * done[pkg] / all[pkg]
		printf "%5.1f%% of the statements of %s\n", percent, pkg
		if (percent < min) { printf "      less than %d%%\n", min; failed = 1 }
		n++
	}
	if (n == 0) { print "no coverage was measured"; failed = 1 }
	exit failed
}
