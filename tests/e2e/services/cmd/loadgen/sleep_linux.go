package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockMonotonic  = 1
	timerNonBlock   = syscall.O_NONBLOCK
	timerCloseOnExe = syscall.O_CLOEXEC
)

// alarm wakes its goroutine at a moment, by a timerfd that Go's poller waits for. A Go timer that
// fires while the process is idle is up to 1 ms late (epoll's own resolution), which would show in
// every latency; a sleep in the kernel holds on to a processor until the runtime notices.
type alarm struct {
	file       *os.File
	descriptor uintptr
}

func newAlarm() (*alarm, error) {
	descriptor, _, errno := syscall.Syscall(
		syscall.SYS_TIMERFD_CREATE, clockMonotonic, timerNonBlock|timerCloseOnExe, 0)
	if errno != 0 {
		return nil, fmt.Errorf("timerfd_create: %w", errno)
	}
	return &alarm{file: os.NewFile(descriptor, "timerfd"), descriptor: descriptor}, nil
}

func (a *alarm) close() { a.file.Close() }

// sleepUntil returns at moment, or at once when it has passed.
func (a *alarm) sleepUntil(moment time.Time) error {
	left := time.Until(moment)
	if left <= 0 {
		return nil
	}
	setting := struct{ interval, value syscall.Timespec }{
		value: syscall.NsecToTimespec(left.Nanoseconds()),
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME,
		a.descriptor, 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("timerfd_settime: %w", errno)
	}
	var expirations [8]byte
	_, err := a.file.Read(expirations[:])
	return err
}
