package fenced_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/etcdfs/fenced"
	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/lock"
)

// An owner loses the lock between its last look and its write, as if it had been
// stopped there. The table refuses what it writes.
func TestFence(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "ledger.db")+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer db.Close()
	for _, schema := range []string{fenced.Schema, `CREATE TABLE ledger (entry TEXT)`} {
		_, err = db.Exec(schema)
		require.NoError(t, err)
	}
	write := func(token uint64, entry string) error {
		return fenced.Write(t.Context(), db, "/locks/ledger", token, func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO ledger VALUES (?)`, entry)
			return err
		})
	}

	s := etcdtest.Start(t, etcdtest.Embedded)
	proxy := etcdtest.Via(t, s)
	handle := func(endpoint string) *lock.DirLock {
		return lock.New("/locks/ledger", lock.WithFS(etcdfs.New(etcdtest.Client(t, endpoint), etcdfs.WithTTL(2*time.Second))))
	}
	one, two := handle(proxy.Endpoint), handle(s.Endpoint)
	require.NoError(t, one.Lock())
	first, ok := one.Token()
	require.True(t, ok)
	require.NoError(t, write(first, "one"))
	require.NoError(t, write(first, "one, again"))
	require.NoError(t, one.Check())

	proxy.Cut() // and it does not look any more
	require.NoError(t, two.Lock())
	second, ok := two.Token()
	require.True(t, ok)
	require.Greater(t, second, first)
	require.NoError(t, write(second, "two"))
	require.ErrorIs(t, write(first, "one, too late"), fenced.ErrOldToken)
	proxy.Mend()
	require.ErrorIs(t, one.Unlock(), lock.ErrLost)
	require.NoError(t, two.Unlock())

	rows, err := db.Query(`SELECT entry FROM ledger ORDER BY rowid`)
	require.NoError(t, err)
	defer rows.Close()
	var entries []string
	for rows.Next() {
		var entry string
		require.NoError(t, rows.Scan(&entry))
		entries = append(entries, entry)
	}
	require.NoError(t, rows.Err())
	assert.Equal(t, []string{"one", "one, again", "two"}, entries)
}
