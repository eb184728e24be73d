package etcdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dirlock/dirlock/fsys"
)

var (
	errName     = fmt.Errorf("%w: a name needs characters other than NUL", fs.ErrInvalid)
	errFileName = fmt.Errorf("%w: it is not the name of a file", fs.ErrInvalid)
	errTooLong  = fmt.Errorf("%w: more than %d bytes", fs.ErrInvalid, fsys.MaxData)
)

func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// explain turns an error of a request into one of package fsys. ctx is that of the
// caller: its end is told as it is, and the end of our own patience is not.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = rpctypes.Error(err) // of a known kind, if it is one
	code := codes.Unknown
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		code = known.Code()
	} else if s, ok := status.FromError(err); ok {
		code = s.Code()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, clientv3.ErrNoAvailableEndpoints),
		code == codes.Unavailable, code == codes.DeadlineExceeded, code == codes.Canceled:
		return fmt.Errorf("%w: %v", fsys.ErrUnavailable, err) //nolint:errorlint // never the error of a context: the caller's is not done
	case code == codes.PermissionDenied, code == codes.Unauthenticated, errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return err
}

// mayBeDone tells whether a request that failed may have been done, or be done later.
func mayBeDone(err error) bool {
	return errors.Is(err, fsys.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
