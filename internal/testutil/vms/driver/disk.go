package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// loop locks and unlocks.
func loop(dir string) {
	l := lock.New(dir)
	for n := 0; ; n++ {
		if err := l.Lock(); err != nil {
			fmt.Println("loop:", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if n%3 == 0 {
			time.Sleep(rand.N(3 * time.Millisecond))
		}
		if err := l.Unlock(); err != nil {
			fmt.Println("loop:", err)
		}
	}
}

// crash runs loops that are killed, until the power goes. Meanwhile another file
// is written and synchronized, or all of the file system is, so that any moment of
// theirs may get to the disk.
func crash(dir, other string) {
	go func() {
		f, err := os.Create(other)
		fail(err)
		for {
			_, _ = f.WriteAt([]byte(time.Now().String()), 0)
			if rand.N(2) == 0 {
				_ = f.Sync()
			} else {
				_ = syncAll(f)
			}
			time.Sleep(rand.N(8 * time.Millisecond))
		}
	}()
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "loop", dir)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		fail(cmd.Start())
		return cmd
	}
	loops := []*exec.Cmd{start(), start()}
	for {
		time.Sleep(20*time.Millisecond + rand.N(60*time.Millisecond))
		i := rand.IntN(len(loops))
		_ = loops[i].Process.Kill()
		_ = loops[i].Wait()
		loops[i] = start()
	}
}
