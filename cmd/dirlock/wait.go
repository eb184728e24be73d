package main

import "github.com/spf13/cobra"

func newWait() *cobra.Command { return &cobra.Command{Use: "wait", Hidden: true} }
