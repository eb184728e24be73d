package lock

import (
	"context"
	"log/slog"
	"time"
)

// The events that [WithLogger] shows. None costs anything without a logger.

func (l *DirLock) acquired(h *hold) {
	l.event(slog.LevelDebug, "acquired", h.owner)
}

func (l *DirLock) released(h *hold) {
	l.event(slog.LevelDebug, "released", h.owner)
}

func (l *DirLock) lost(h *hold) {
	l.event(slog.LevelError, "lost", h.owner)
}

func (l *DirLock) recovered(h *hold, level int, from look) {
	if l.log != nil {
		l.event(slog.LevelWarn, "recovered", h.owner, slog.Int("level", level),
			slog.String("from", from.owner.String()), slog.String("reason", from.why))
	}
}

func (l *DirLock) waiting(blocker look) {
	if l.log != nil {
		l.event(slog.LevelDebug, "waiting", blocker.owner, slog.String("for", blocker.owner.String()),
			slog.String("state", blocker.state.String()), slog.String("reason", blocker.why))
	}
}

func (l *DirLock) waited(d time.Duration) {
	if l.log != nil {
		l.log.LogAttrs(context.Background(), slog.LevelDebug, "waited", slog.String("dir", l.path), slog.Duration("time", d))
	}
}

func (l *DirLock) polling(err error) {
	l.mishap(slog.LevelDebug, "polling, for want of events", err)
}

func (l *DirLock) event(level slog.Level, msg string, o Owner, attrs ...slog.Attr) {
	if l.log != nil {
		attrs = append([]slog.Attr{slog.String("dir", l.path), slog.String("owner", o.ID)}, attrs...)
		l.log.LogAttrs(context.Background(), level, msg, attrs...)
	}
}

// mishap is something that went wrong without being an error of the caller's.
func (l *DirLock) mishap(level slog.Level, msg string, err error) {
	if l.log != nil {
		l.log.LogAttrs(context.Background(), level, msg, slog.String("dir", l.path), slog.Any("err", err))
	}
}
