package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A bill of materials in the form of CycloneDX 1.5, with no more than the binary
// itself tells: it is made of these modules, in these versions.
type bom struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type    string   `json:"type"`
	Ref     string   `json:"bom-ref"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Purl    string   `json:"purl"`
	Hashes  []digest `json:"hashes,omitempty"`
}

type digest struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

func module(kind, path, version string) component {
	purl := "pkg:golang/" + path + "@" + version
	return component{Type: kind, Ref: purl, Name: path, Version: version, Purl: purl}
}

// bill lists the modules that a binary is made of; content is the binary itself.
func (r *release) bill(info *buildinfo.BuildInfo, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	self := module("application", info.Main.Path, info.Main.Version)
	self.Hashes = []digest{{"SHA-256", hex.EncodeToString(sum[:])}}
	b := bom{
		Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Serial:   uuid(sum),
		Metadata: metadata{Timestamp: r.time.Format(time.RFC3339), Component: self},
	}
	b.Components = append(b.Components, module("library", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: a release is made of published modules", dep.Path)
		}
		b.Components = append(b.Components, module("library", dep.Path, dep.Version))
	}
	direct := dependency{Ref: self.Ref}
	for _, c := range b.Components {
		direct.DependsOn = append(direct.DependsOn, c.Ref)
	}
	b.Dependencies = []dependency{direct}
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}

// uuid names the bill of a binary: one of version 8 of RFC 9562, from its digest.
func uuid(sum [sha256.Size]byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
