//go:build !linux

package main

import "time"

type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

func (*alarm) close() {}

func (*alarm) sleepUntil(moment time.Time) error {
	time.Sleep(time.Until(moment))
	return nil
}
