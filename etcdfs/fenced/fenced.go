// Package fenced is a worked example: a database that refuses an owner of a lock that
// has lost it and does not know it yet. See docs/etcd.md. It has no promise of staying
// as it is: copy it.
package fenced

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrOldToken is returned by Write if a later owner of the lock has written already.
var ErrOldToken = errors.New("a later owner of the lock has written")

// Schema is the table that keeps the greatest token of each lock. It stands in the
// database that it protects.
const Schema = `CREATE TABLE IF NOT EXISTS fences (lock TEXT PRIMARY KEY, token BIGINT NOT NULL)`

// Write calls do in a transaction, if no later owner of the lock has called Write.
// The check and what do writes are one transaction: nobody comes in between. The
// statement means the same to SQLite and to PostgreSQL, but for the placeholders.
func Write(ctx context.Context, db *sql.DB, lock string, token uint64, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a Commit it does nothing
	r, err := tx.ExecContext(ctx, `INSERT INTO fences (lock, token) VALUES (?, ?)
		ON CONFLICT (lock) DO UPDATE SET token = excluded.token WHERE excluded.token >= fences.token`, lock, int64(token))
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(fmt.Errorf("%w: %s, token %d", ErrOldToken, lock, token), err)
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
