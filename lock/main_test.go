package lock_test

import (
	"testing"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
)

func TestMain(m *testing.M) { reexec.Main(m) }
