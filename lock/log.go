package lock

import (
	"context"
	"log/slog"
)

// event is something that [WithLogger] shows. Events are logged when the mutex
// of the handle is free, because a handler may use the lock. None costs
// anything without a logger.
type event struct {
	level slog.Level
	msg   string
	attrs []slog.Attr
}

// event says what happened to an owner.
func (l *DirLock) event(level slog.Level, msg string, o Owner, attrs ...slog.Attr) event {
	if l.log == nil {
		return event{}
	}
	return event{level, msg, append([]slog.Attr{slog.String("owner", o.ID)}, attrs...)}
}

// mishap is something that went wrong without being an error of the caller's.
func mishap(level slog.Level, msg string, err error) event {
	return event{level, msg, []slog.Attr{slog.Any("err", err)}}
}

// emit logs. The mutex of the handle must be free.
func (l *DirLock) emit(events ...event) {
	if l.log == nil {
		return
	}
	for _, e := range events {
		attrs := append([]slog.Attr{slog.String("dir", l.path)}, e.attrs...)
		l.log.LogAttrs(context.Background(), e.level, e.msg, attrs...)
	}
}

const leftFiles = "files of dead owners were left"

// later notes what is to be logged when the call has ended.
func (v *visit) later(e event) {
	if v.log != nil {
		v.events = append(v.events, e)
	}
}

func (v *visit) logRecovered(h *hold, level int, from look) {
	if v.log != nil {
		v.later(v.event(slog.LevelWarn, "recovered", h.owner, slog.Int("level", level),
			slog.String("from", from.owner.String()), slog.String("reason", from.why)))
	}
}

func (l *DirLock) logWaiting(blocker look) {
	if l.log != nil {
		l.emit(l.event(slog.LevelDebug, "waiting", blocker.owner, slog.String("for", blocker.owner.String()),
			slog.String("state", blocker.state.String()), slog.String("reason", blocker.why)))
	}
}
