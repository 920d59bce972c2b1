package tokensourcetest

import (
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// AssertHidden fails t if the memory that value leads to holds one of the
// secrets, in a form that [FindSecret] knows. Like dump and assertion
// libraries, it follows pointers, interfaces, maps, slices and unexported
// fields, but not functions. It also fails t if value leads to a connection or
// to a *http.Transport, because their buffers keep what they have carried. Hide
// what you must keep behind a func value.
//
// Call it after value has worked. Timers may run: AssertHidden holds the
// mutexes of a struct while it reads the fields, and fails t if another
// goroutine keeps one. Otherwise no other goroutine may use value meanwhile.
// The walk skips the insides of runtime, reflect, sync, testing, log/slog and
// crypto/x509. It fails t if the memory has too many parts to walk.
//
// The failure message names the place, and shows neither the value nor the
// secret.
func AssertHidden(t testing.TB, value any, secrets ...string) {
	t.Helper()
	w := &walk{seen: map[place]bool{}}
	root := reflect.ValueOf(&value).Elem()
	w.queue = append(w.queue, step{v: root, at: &path{}})
	for n := 0; len(w.queue) > 0 && w.flaw == ""; n++ {
		if n == maxSteps {
			w.flaw = "has too many parts to walk"
			break
		}
		next := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		w.visit(next)
	}
	if w.flaw != "" {
		t.Errorf("the memory of a %T %s", value, w.flaw)
		return
	}
	var all strings.Builder
	for _, found := range w.found {
		all.WriteString(found.text)
		all.WriteByte('\n')
	}
	if FindSecret(all.String(), secrets...) == "" {
		return
	}
	for _, found := range w.found {
		if how := FindSecret(found.text, secrets...); how != "" {
			t.Errorf("the memory of a %T leaks: %s at %s; keep it behind a func value", value, how, found.at)
			return
		}
	}
}

// maxSteps bounds a walk that strays into the data of a library. A source of
// this repository takes some hundred steps.
const maxSteps = 1 << 18

// opaque holds the packages whose structs a walk skips. They hold no value of
// the program, or they are in use by other goroutines, such as the test's.
var opaque = map[string]bool{
	"reflect": true, "runtime": true, "sync": true, "sync/atomic": true, "testing": true, "time": true,
	"unique": true, "weak": true, "log/slog": true, "crypto/x509": true,
}

func isOpaque(typ reflect.Type) bool {
	return opaque[typ.PkgPath()] || strings.HasPrefix(typ.PkgPath(), "internal/")
}

// connects reports whether v, the address of a struct, is a connection or a
// pool of connections.
func connects(v reflect.Value) bool {
	switch v.Interface().(type) {
	case net.Conn, *http.Transport:
		return true
	}
	return false
}

// place tells the parts of memory apart. A struct and its first field have one
// address, and two slices may begin at one address.
type place struct {
	at  unsafe.Pointer
	typ reflect.Type
	n   int
}

// path is a list of names, from the last one to the first.
type path struct {
	parent *path
	name   string
}

func (p *path) to(name string) *path { return &path{p, name} }

func (p *path) String() string {
	if p.parent == nil {
		return ""
	}
	return p.parent.String() + p.name
}

type step struct {
	v  reflect.Value // settable
	at *path
}

type walk struct {
	seen  map[place]bool
	queue []step
	flaw  string // why the walk ended early
	found []struct {
		text string
		at   *path
	}
}

func (w *walk) add(v reflect.Value, at *path) { w.queue = append(w.queue, step{settable(v), at}) }

func (w *walk) keep(text string, at *path) {
	w.found = append(w.found, struct {
		text string
		at   *path
	}{text, at})
}

func (w *walk) visit(s step) {
	v := s.v
	switch v.Kind() {
	case reflect.String:
		if v.Len() >= 4 {
			w.keep(strings.Clone(v.String()), s.at)
		}
	case reflect.Pointer:
		if !v.IsNil() && w.isNew(v.UnsafePointer(), v.Type(), 0) {
			w.add(v.Elem(), s.at)
		}
	case reflect.Interface:
		if !v.IsNil() {
			w.add(v.Elem(), s.at.to("("+v.Elem().Type().String()+")"))
		}
	case reflect.Struct:
		w.fields(s)
	case reflect.Map:
		if v.IsNil() || !w.isNew(v.UnsafePointer(), v.Type(), 0) {
			return
		}
		for it := v.MapRange(); it.Next(); {
			w.add(it.Key(), s.at.to("[key]"))
			w.add(it.Value(), s.at.to("[]"))
		}
	case reflect.Slice, reflect.Array:
		w.elements(s)
	}
}

func (w *walk) elements(s step) {
	v := s.v
	if v.Kind() == reflect.Slice && (v.IsNil() || !w.isNew(v.UnsafePointer(), v.Type(), v.Len())) {
		return
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		// The spare capacity of a buffer may still hold earlier content.
		if v.Kind() == reflect.Slice {
			v = v.Slice3(0, v.Cap(), v.Cap())
		}
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		w.keep(string(b), s.at)
		return
	}
	if flat(v.Type().Elem().Kind()) {
		return
	}
	at := s.at.to("[]")
	for i := range min(v.Len(), maxSteps+1) {
		w.add(v.Index(i), at)
	}
}

func flat(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.Func || k == reflect.Chan || k == reflect.UnsafePointer
}

// fields visits copies of the fields of a struct, made under its mutexes.
func (w *walk) fields(s step) {
	v := settable(s.v)
	typ := v.Type()
	if !w.isNew(v.Addr().UnsafePointer(), typ, 0) || w.loads(v, s.at) || isOpaque(typ) {
		return
	}
	if connects(v.Addr()) {
		w.flaw = "leads to a " + v.Addr().Type().String() + " at " + s.at.String() +
			"; keep it behind a func value, because its buffers keep what they have carried"
		return
	}
	unlock := w.lock(v, s.at)
	defer unlock()
	if w.flaw != "" {
		return
	}
	for i := range typ.NumField() {
		field := settable(v.Field(i))
		at := s.at.to("." + typ.Field(i).Name)
		if field.Kind() == reflect.Struct {
			w.fields(step{field, at}) // not copied: it may hold a mutex
			continue
		}
		copied := reflect.New(field.Type()).Elem()
		copied.Set(field)
		w.add(copied, at)
	}
}

// loads adds the content of v if v is an atomic or concurrent container.
func (w *walk) loads(v reflect.Value, at *path) bool {
	typ := v.Type()
	if typ.PkgPath() == "sync/atomic" && strings.HasPrefix(typ.Name(), "Pointer[") {
		w.add(v.Addr().MethodByName("Load").Call(nil)[0], at)
		return true
	}
	switch p := v.Addr().Interface().(type) {
	case *sync.Map:
		p.Range(func(key, value any) bool {
			w.add(reflect.ValueOf(&key).Elem(), at.to("[key]"))
			w.add(reflect.ValueOf(&value).Elem(), at.to("[]"))
			return true
		})
	case *atomic.Value:
		loaded := p.Load()
		w.add(reflect.ValueOf(&loaded).Elem(), at)
	default:
		return false
	}
	return true
}

// lock locks the mutexes among the fields of v. It returns a function that
// unlocks them. A mutex that stays locked ends the walk.
func (w *walk) lock(v reflect.Value, at *path) (unlock func()) {
	var held []sync.Locker
	for i := range v.NumField() {
		var m interface {
			sync.Locker
			TryLock() bool
		}
		switch field := settable(v.Field(i)).Addr().Interface().(type) {
		case *sync.Mutex:
			m = field
		case *sync.RWMutex:
			m = field
		default:
			continue
		}
		if !lockSoon(m) {
			w.flaw = "is in use: a goroutine keeps the mutex " + at.to("."+v.Type().Field(i).Name).String() + " locked"
			break
		}
		held = append(held, m)
	}
	return func() {
		for _, m := range held {
			m.Unlock()
		}
	}
}

// lockSoon tries to lock m until that works, for [patience] at most.
func lockSoon(m interface{ TryLock() bool }) bool {
	for end := time.Now().Add(patience); !m.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func (w *walk) isNew(at unsafe.Pointer, typ reflect.Type, n int) bool {
	p := place{at, typ, n}
	if at == nil || w.seen[p] {
		return false
	}
	w.seen[p] = true
	return true
}

// settable returns v, or a copy of v, as a value that may be read and set even
// if it comes from an unexported field.
func settable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
	}
	c := reflect.New(v.Type()).Elem()
	if v.CanInterface() {
		c.Set(v)
		return c
	}
	// Only values of maps and interfaces in unexported fields could come here.
	// The walk reaches those through settable parents.
	panic("tokensourcetest: reflection can't read a value of type " + v.Type().String())
}
