package etcdtest

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy passes connections to a server on, until it is cut: then nothing gets
// through, in neither direction, and nobody is told.
type Proxy struct {
	// Endpoint is where clients connect to.
	Endpoint string

	to     string
	l      net.Listener
	mu     sync.Mutex
	open   chan struct{} // closed while things get through
	closed chan struct{}
	conns  []net.Conn
}

// Via starts a proxy to a server, and stops it when the test has ended.
func Via(t testing.TB, s *Server) *Proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{
		Endpoint: "http://" + l.Addr().String(), to: strings.TrimPrefix(s.Endpoint, "http://"), l: l,
		open: make(chan struct{}), closed: make(chan struct{}),
	}
	close(p.open)
	go p.run()
	t.Cleanup(p.stop)
	return p
}

// Cut stops everything.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// Mend lets everything through that was held up.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.open)
}

func (p *Proxy) run() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		go p.pass(in, out)
		go p.pass(out, in)
	}
}

func (p *Proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		select {
		case <-open:
		case <-p.closed:
			return
		}
		if _, e := to.Write(buf[:n]); err != nil || e != nil {
			return
		}
	}
}

func (p *Proxy) stop() {
	close(p.closed)
	_ = p.l.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
}
