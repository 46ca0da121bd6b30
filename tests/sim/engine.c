/* SPDX-License-Identifier: Apache-2.0 */
#undef _FORTIFY_SOURCE /* its longjmp aborts where one stack is left for another; it looks at nothing else here */
#include "tests/sim/engine.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/xmem.h"
#include "tests/sim/world.h"

#ifdef GANTRY_COVERAGE
#include <gcov.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES ((size_t)512 * 1024)

struct engine eng;
bool tracing;

struct event {
	struct proc *p;
	event_fn *fn; /* NULL: canceled */
	void *arg;
	struct event *next_free;
};

struct due {
	int64_t when;
	uint64_t seq;
	struct event *e;
};

/* ---- trace ------------------------------------------------------------------------------------------ */

void trace(const char *fmt, ...)
{
	va_list ap;

	if (!tracing)
		return;
	(void)fprintf(stderr, "%10.3f %-5s ", (double)eng.now / 1e6, eng.proc && eng.proc->m ? machine_name(eng.proc->m) : "-");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

/* ---- chance ----------------------------------------------------------------------------------------- */

int64_t pick(int64_t lo, int64_t hi)
{
	return lo + (int64_t)rng_below(&eng.rng, (uint64_t)(hi - lo + 1));
}

bool chance(int permille)
{
	return permille > 0 && (int)rng_below(&eng.rng, 1000) < permille;
}

/* ---- events ------------------------------------------------------------------------------------------- */

static bool before(const struct due *a, const struct due *b)
{
	return a->when != b->when ? a->when < b->when : a->seq < b->seq;
}

static void push(struct due d)
{
	if (eng.n_heap == eng.cap_heap) {
		eng.cap_heap = eng.cap_heap ? 2 * eng.cap_heap : 256;
		eng.heap = xrealloc(eng.heap, (size_t)eng.cap_heap * sizeof(*eng.heap));
	}
	int i = eng.n_heap++;
	while (i > 0 && before(&d, &eng.heap[(i - 1) / 2])) {
		eng.heap[i] = eng.heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	eng.heap[i] = d;
}

static struct due pop(void)
{
	struct due top = eng.heap[0], last = eng.heap[--eng.n_heap];
	int i = 0;

	for (;;) {
		int c = 2 * i + 1;

		if (c >= eng.n_heap)
			break;
		if (c + 1 < eng.n_heap && before(&eng.heap[c + 1], &eng.heap[c]))
			c++;
		if (!before(&eng.heap[c], &last))
			break;
		eng.heap[i] = eng.heap[c];
		i = c;
	}
	eng.heap[i] = last;
	return top;
}

/* Most of what a world does is to make an event and to free it. Under ASan each is memory of its own: a handle that is used too late shows. */
static struct event *free_events;

static struct event *event_new(void)
{
	struct event *e = free_events;

	if (!e)
		return xcalloc(1, sizeof(*e));
	free_events = e->next_free;
	return e;
}

static void event_free(struct event *e)
{
	if (e->p)
		proc_unref(e->p);
#ifdef WITH_ASAN
	free(e);
#else
	e->next_free = free_events;
	free_events = e;
#endif
}

static struct event *schedule(struct proc *p, int64_t when, event_fn *fn, void *arg)
{
	struct event *e = event_new();

	*e = (struct event){ .p = p, .fn = fn, .arg = arg };
	if (p)
		p->refs++;
	push((struct due){ when < eng.now ? eng.now : when, eng.seq++, e });
	return e;
}

struct event *at(struct proc *p, int64_t when, event_fn *fn, void *arg)
{
	return schedule(p, when, fn, arg);
}

struct event *after(struct proc *p, int64_t us, event_fn *fn, void *arg)
{
	return schedule(p, eng.now + us, fn, arg);
}

void event_cancel(struct event *e)
{
	if (!e || !e->fn)
		return;
	e->fn = NULL;
	eng.n_canceled++;
}

/* Most deadlines are canceled long before their time. The order of what is left is not touched: no two are due at the same moment with one number. */
static void sweep_heap(void)
{
	int n = eng.n_heap;

	eng.n_heap = eng.n_canceled = 0;
	for (int i = 0; i < n; i++) {
		struct due d = eng.heap[i]; /* is put at or before where it was */

		if (d.e->fn)
			push(d);
		else
			event_free(d.e);
	}
}

/* A dead process's event is dropped with what it holds, as the memory of a real one; a stalled one's waits. */
static void run_event(struct due d)
{
	struct event *e = d.e;

	if (!e->fn || (e->p && e->p->dead)) {
		eng.n_canceled -= !e->fn;
		event_free(e);
		return;
	}
	if (e->p && e->p->stalled_until > eng.now) {
		d.when = e->p->stalled_until;
		push(d);
		return;
	}
	eng.proc = e->p;
	eng.n_events++;
	e->fn(e->arg);
	eng.proc = NULL;
	event_free(e);
	if (eng.after)
		eng.after(eng.after_arg);
}

void engine_run(int64_t until)
{
	while (eng.n_heap && eng.heap[0].when <= until && !eng.stop) {
		if (eng.n_canceled > 16 && 2 * eng.n_canceled > eng.n_heap)
			sweep_heap();
		if (!eng.n_heap || eng.heap[0].when > until)
			break;
		struct due d = pop();

		eng.now = d.when;
		run_event(d);
	}
	if (!eng.stop && eng.now < until)
		eng.now = until;
}

/* ---- fibers --------------------------------------------------------------------------------------------- */

/*
 * A place where a fiber runs, and where one that has ended waits for the next. Only the very first time it is entered by way of ucontext, whose every
 * switch asks the kernel for the signal mask; from then on by _setjmp. (ASan takes a longjmp for the end of the frames that it leaves: there it is
 * always ucontext.)
 */
struct stack {
	char *bytes;
	ucontext_t ctx;
	jmp_buf at;
	bool entered; /* "at" is valid */
	struct stack *next_free;
	void *asan_fake;
};

struct fiber {
	struct list link; /* of its process */
	struct proc *p;
	struct stack *stack;
	event_fn *fn;
	void *arg;
	struct event *wake;
	bool woken, ended;
};

static struct stack scheduler = { .entered = true };
static struct stack *free_stacks;

#ifdef WITH_ASAN
static const void *scheduler_bottom;
static size_t scheduler_size;

static void leave_for(struct stack *from, struct stack *to)
{
	bool back = to == &scheduler;

	to->entered = true;
	__sanitizer_start_switch_fiber(&from->asan_fake, back ? scheduler_bottom : to->bytes, back ? scheduler_size : STACK_BYTES);
	(void)swapcontext(&from->ctx, &to->ctx);
	__sanitizer_finish_switch_fiber(from->asan_fake, back ? &scheduler_bottom : NULL, back ? &scheduler_size : NULL);
}
#else
static void leave_for(struct stack *from, struct stack *to)
{
	if (_setjmp(from->at))
		return;
	if (to->entered)
		_longjmp(to->at, 1);
	to->entered = true;
	(void)setcontext(&to->ctx);
	abort();
}
#endif

static void fiber_main(void)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, &scheduler_bottom, &scheduler_size);
#endif
	for (;;) {
		struct fiber *f = eng.fiber;

		f->fn(f->arg);
		f->ended = true;
		leave_for(f->stack, &scheduler); /* comes back with the next fiber */
	}
}

static void stack_fresh(struct stack *s)
{
#ifdef WITH_ASAN
	__asan_unpoison_memory_region(s->bytes, STACK_BYTES);
#endif
	(void)getcontext(&s->ctx);
	s->ctx.uc_stack.ss_sp = s->bytes;
	s->ctx.uc_stack.ss_size = STACK_BYTES;
	s->ctx.uc_link = NULL;
	makecontext(&s->ctx, fiber_main, 0);
	s->entered = false;
}

static struct stack *stack_new(void)
{
	struct stack *s = free_stacks;

	if (s) {
		free_stacks = s->next_free;
		return s;
	}
	s = xcalloc(1, sizeof(*s));
	s->bytes = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	assert(s->bytes != MAP_FAILED);
	stack_fresh(s);
	return s;
}

static struct list ended_fibers; /* others may still hold the handle */

static void fiber_end(struct fiber *f)
{
	f->ended = true;
	event_cancel(f->wake);
	f->wake = NULL;
	list_del(&f->link);
	list_add_tail(&ended_fibers, &f->link);
	f->stack->next_free = free_stacks;
	free_stacks = f->stack;
	f->stack = NULL;
	proc_unref(f->p);
}

static void enter(struct fiber *f)
{
	struct proc *outer_proc = eng.proc;

	assert(!eng.fiber); /* fibers are entered from events only */
	eng.fiber = f;
	eng.proc = f->p;
	leave_for(&scheduler, f->stack);
	eng.fiber = NULL;
	eng.proc = outer_proc;
	if (f->ended)
		fiber_end(f);
}

static void suspend(void)
{
	leave_for(eng.fiber->stack, &scheduler);
}

static void resume(void *arg)
{
	struct fiber *f = arg;

	f->wake = NULL;
	enter(f);
}

struct fiber *fiber_start(struct proc *p, event_fn *fn, void *arg)
{
	struct fiber *f = xcalloc(1, sizeof(*f));

	f->p = p;
	p->refs++;
	f->fn = fn;
	f->arg = arg;
	f->stack = stack_new();
	list_add_tail(&p->fibers, &f->link);
	f->wake = after(p, 0, resume, f);
	return f;
}

void fiber_sleep(int64_t us)
{
	struct fiber *f = eng.fiber;

	assert(f);
	f->wake = after(f->p, us, resume, f);
	suspend();
}

bool fiber_wait(int64_t us)
{
	struct fiber *f = eng.fiber;

	assert(f);
	f->woken = false;
	f->wake = us ? after(f->p, us, resume, f) : NULL;
	suspend();
	return f->woken;
}

void fiber_wake(struct fiber *f)
{
	if (f->ended || f->woken)
		return;
	f->woken = true;
	event_cancel(f->wake);
	f->wake = after(f->p, 0, resume, f);
}

/* ---- processes ------------------------------------------------------------------------------------------- */

struct proc *proc_new(struct machine *m, const char *name)
{
	struct proc *p = xcalloc(1, sizeof(*p));

	p->m = m;
	(void)str_copy(p->name, sizeof(p->name), name);
	list_init(&p->fibers);
	p->refs = 1;
	return p;
}

void proc_unref(struct proc *p)
{
	if (--p->refs == 0)
		free(p);
}

void proc_kill(struct proc *p)
{
	if (p->dead)
		return;
	p->dead = true;
	while (!list_empty(&p->fibers)) { /* no code of it runs any more, as after kill -9 */
		struct fiber *f = list_entry(p->fibers.next, struct fiber, link);

		stack_fresh(f->stack); /* what stands on it is lost */
		fiber_end(f);
	}
}

/* ---- life ------------------------------------------------------------------------------------------------- */

void engine_init(uint64_t seed)
{
	memset(&eng, 0, sizeof(eng));
	list_init(&ended_fibers);
	rng_seed(&eng.rng, seed);
}

void engine_free(void)
{
	while (eng.n_heap)
		event_free(pop().e);
	list_for_each_safe(l, &ended_fibers) {
		list_del(l);
		free(list_entry(l, struct fiber, link));
	}
	free(eng.heap);
	eng.heap = NULL;
	eng.cap_heap = 0;
}

void child_exit(int status)
{
#ifdef GANTRY_COVERAGE
	__gcov_dump();
#endif
	_exit(status);
}
