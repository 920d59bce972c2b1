package tokensourcetest

import (
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

// AssertHidden fails t if the memory that value leads to holds one of the
// secrets, in a form that [FindSecret] knows. Like dump and assertion
// libraries, it follows pointers, interfaces, maps, slices and unexported
// fields, but not functions.
//
// Call it after value has worked and its connections have carried the secrets.
// Timers may run: AssertHidden locks the mutex of a struct while it reads the
// fields. Otherwise no other goroutine may use value meanwhile.
//
// The failure message names the place, and shows neither the value nor the
// secret.
func AssertHidden(t testing.TB, value any, secrets ...string) {
	t.Helper()
	w := &walk{seen: map[place]bool{}}
	root := reflect.New(reflect.TypeOf(&value).Elem()).Elem()
	root.Set(reflect.ValueOf(&value).Elem())
	w.queue = append(w.queue, step{root, ""})
	for len(w.queue) > 0 && len(w.seen) < maxPlaces {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.visit(next)
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
			t.Errorf("the memory of a %T leaks: %s at %s", value, how, found.path)
			return
		}
	}
}

// maxPlaces bounds a walk that strays into the runtime data of a library.
const maxPlaces = 1 << 20

type place struct {
	at  unsafe.Pointer
	typ reflect.Type
}

type step struct {
	v    reflect.Value // addressable, or the element of a map
	path string
}

type walk struct {
	seen  map[place]bool
	queue []step
	found []struct{ text, path string }
}

func (w *walk) visit(s step) {
	v := s.v
	switch v.Kind() {
	case reflect.String:
		if v.Len() >= 4 {
			w.found = append(w.found, struct{ text, path string }{strings.Clone(v.String()), s.path})
		}
	case reflect.Pointer:
		if !v.IsNil() && w.isNew(v.UnsafePointer(), v.Type()) {
			w.queue = append(w.queue, step{v.Elem(), s.path})
		}
	case reflect.Interface:
		if !v.IsNil() {
			w.queue = append(w.queue, step{settable(v.Elem()), s.path + "(" + v.Elem().Type().String() + ")"})
		}
	case reflect.Struct:
		w.fields(s)
	case reflect.Map:
		if v.IsNil() || !w.isNew(v.UnsafePointer(), v.Type()) {
			return
		}
		for it := v.MapRange(); it.Next(); {
			w.queue = append(w.queue, step{settable(it.Key()), s.path + "[key]"}, step{settable(it.Value()), s.path + "[]"})
		}
	case reflect.Slice, reflect.Array:
		w.elements(s)
	}
}

func (w *walk) elements(s step) {
	v := s.v
	if v.Kind() == reflect.Slice && (v.IsNil() || !w.isNew(v.UnsafePointer(), v.Type())) {
		return
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		// The spare capacity of a buffer may still hold earlier content.
		if v.Kind() == reflect.Slice {
			v = v.Slice3(0, v.Cap(), v.Cap())
		}
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		w.found = append(w.found, struct{ text, path string }{string(b), s.path})
		return
	}
	if flat(v.Type().Elem().Kind()) {
		return
	}
	for i := range v.Len() {
		w.queue = append(w.queue, step{settable(v.Index(i)), s.path + "[]"})
	}
}

func flat(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.Func || k == reflect.Chan || k == reflect.UnsafePointer
}

// fields visits copies of the fields of a struct, made under its mutex.
func (w *walk) fields(s step) {
	v := settable(s.v)
	typ := v.Type()
	if !w.isNew(v.Addr().UnsafePointer(), typ) && typ.Size() > 0 {
		return
	}
	if typ.PkgPath() == "sync/atomic" && strings.HasPrefix(typ.Name(), "Pointer[") {
		loaded := v.Addr().MethodByName("Load").Call(nil)[0]
		w.queue = append(w.queue, step{settable(loaded), s.path})
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *sync.Map:
		p.Range(func(key, value any) bool {
			w.queue = append(w.queue, step{settable(reflect.ValueOf(&key).Elem()), s.path + "[key]"}, step{settable(reflect.ValueOf(&value).Elem()), s.path + "[]"})
			return true
		})
		return
	case *atomic.Value:
		loaded := p.Load()
		w.queue = append(w.queue, step{reflect.ValueOf(&loaded).Elem(), s.path})
		return
	}
	if typ.PkgPath() == "sync" || typ.PkgPath() == "sync/atomic" || typ.PkgPath() == "weak" {
		return
	}
	defer lock(v)()
	for i := range typ.NumField() {
		field := settable(v.Field(i))
		path := s.path + "." + typ.Field(i).Name
		if plain := field.Kind(); plain == reflect.Struct {
			w.fields(step{field, path}) // not copied: it may hold a mutex
			continue
		}
		copied := reflect.New(field.Type()).Elem()
		copied.Set(field)
		w.queue = append(w.queue, step{copied, path})
	}
}

// lock locks the first free mutex among the fields of v. It returns a function
// that unlocks it.
func lock(v reflect.Value) func() {
	for i := range v.NumField() {
		switch m := settable(v.Field(i)).Addr().Interface().(type) {
		case *sync.Mutex:
			if m.TryLock() {
				return m.Unlock
			}
		case *sync.RWMutex:
			if m.TryRLock() {
				return m.RUnlock
			}
		}
	}
	return func() {}
}

func (w *walk) isNew(at unsafe.Pointer, typ reflect.Type) bool {
	p := place{at, typ}
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
