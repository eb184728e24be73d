package main

import "github.com/spf13/cobra"

func newMan() *cobra.Command   { return &cobra.Command{Use: "man", Hidden: true} }
func topics() []*cobra.Command { return nil }
