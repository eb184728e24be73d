package main

import "github.com/spf13/cobra"

func newBreak() *cobra.Command { return &cobra.Command{Use: "break", Hidden: true} }
