// Package toil is the work of one request: a fixed amount of CPU and of garbage.
//
// Both are counts, never calibrated to a clock: CPU per request then differs between two runs only
// by what the machine and the collector do.
package toil

// slices is into how many pieces a request's work is cut, so that allocation and computing alternate
// as they do in a real handler.
const slices = 16

// window is how many of the latest objects a request still refers to.
const window = 64

type link struct {
	next *link
	body []byte
	tag  *uint64
}

// sizes is one round of allocations; the sizes are size classes of Go's allocator, so bytes asked
// for are bytes allocated. A link costs 64 bytes: 48 for itself, 16 for what tag refers to, which
// is two words so that it is not packed with others by the tiny allocator.
var sizes = [...]int{32, 64, 16, 128, 48, 32, 256, 64, 96, 32, 512, 64, 128, 48, 1024, 64}

const largeEvery, largeBytes = 8, 4096

// Request is the state that one request allocates and drops.
type Request struct {
	latest [window]any
	chain  *link
	count  int
	rounds int
	sum    uint64
}

// Do does the work of one request and returns a value that depends on all of it.
func Do(iterations, garbageBytes int64) uint64 {
	request := new(Request)
	seed := uint64(0x9e3779b97f4a7c15)
	for i := range int64(slices) {
		seed = Spin(seed, share(iterations, i))
		request.litter(share(garbageBytes, i))
	}
	return seed ^ request.sum
}

// share is the part of total that falls to slice i; the parts add up to total.
func share(total, i int64) int64 {
	return total*(i+1)/slices - total*i/slices
}

// Spin does iterations dependent xorshift steps, 1.7 ns each on an AMD EPYC.
//
//go:noinline
func Spin(x uint64, iterations int64) uint64 {
	for range iterations {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

func (r *Request) keep(object any) {
	r.latest[r.count%window] = object
	r.count++
}

// litter allocates about bytes of short-lived objects of mixed sizes, a fifth of the bytes in
// objects with pointers.
func (r *Request) litter(bytes int64) {
	for bytes > 0 {
		if r.rounds++; r.rounds%largeEvery == 0 {
			r.keep(&[largeBytes]byte{})
			bytes -= largeBytes
		}
		for _, size := range sizes {
			if bytes <= 0 {
				return
			}
			body := make([]byte, size)
			body[0] = byte(size)
			tag := new([2]uint64)
			tag[0] = uint64(r.count)
			// A chain of a few links, then a new one: bounded, yet more than one step to follow.
			next := r.chain
			if r.count%window == 0 {
				next = nil
			}
			r.chain = &link{next: next, body: body, tag: &tag[0]}
			r.keep(r.chain)
			r.sum += uint64(body[0])
			bytes -= int64(size) + 64
		}
	}
}
