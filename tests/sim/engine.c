/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/engine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "common/xmem.h"
#include "tests/sim/world.h"

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
	int64_t when;
	uint64_t seq;
	struct proc *p;
	event_fn *fn; /* NULL: canceled */
	void *arg;
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

static bool before(const struct event *a, const struct event *b)
{
	return a->when != b->when ? a->when < b->when : a->seq < b->seq;
}

static void push(struct event *e)
{
	if (eng.n_heap == eng.cap_heap) {
		eng.cap_heap = eng.cap_heap ? 2 * eng.cap_heap : 256;
		eng.heap = xrealloc(eng.heap, (size_t)eng.cap_heap * sizeof(struct event *));
	}
	int i = eng.n_heap++;
	while (i > 0 && before(e, eng.heap[(i - 1) / 2])) {
		eng.heap[i] = eng.heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	eng.heap[i] = e;
}

static struct event *pop(void)
{
	struct event *top = eng.heap[0], *last = eng.heap[--eng.n_heap];
	int i = 0;

	for (;;) {
		int c = 2 * i + 1;

		if (c >= eng.n_heap)
			break;
		if (c + 1 < eng.n_heap && before(eng.heap[c + 1], eng.heap[c]))
			c++;
		if (!before(eng.heap[c], last))
			break;
		eng.heap[i] = eng.heap[c];
		i = c;
	}
	if (eng.n_heap)
		eng.heap[i] = last;
	return top;
}

static struct event *schedule(struct proc *p, int64_t when, event_fn *fn, void *arg)
{
	struct event *e = xcalloc(1, sizeof(*e));

	*e = (struct event){ when < eng.now ? eng.now : when, eng.seq++, p, fn, arg };
	if (p)
		p->refs++;
	push(e);
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
	if (e)
		e->fn = NULL;
}

static void event_free(struct event *e)
{
	if (e->p)
		proc_unref(e->p);
	free(e);
}

/* A dead process's event is dropped with what it holds, as the memory of a real one; a stalled one's waits. */
static void run_event(struct event *e)
{
	if (!e->fn || (e->p && e->p->dead)) {
		event_free(e);
		return;
	}
	if (e->p && e->p->stalled_until > eng.now) {
		e->when = e->p->stalled_until;
		push(e);
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
	while (eng.n_heap && eng.heap[0]->when <= until && !eng.stop) {
		struct event *e = pop();

		eng.now = e->when;
		run_event(e);
	}
	if (!eng.stop && eng.now < until)
		eng.now = until;
}

/* ---- fibers --------------------------------------------------------------------------------------------- */

struct fiber {
	struct list link; /* of its process */
	struct proc *p;
	ucontext_t ctx;
	char *stack;
	event_fn *fn;
	void *arg;
	struct event *wake;
	bool woken, ended;
	void *asan_fake;
};

static ucontext_t scheduler;
static char *free_stacks[256];
static int n_free_stacks;
#ifdef WITH_ASAN
static void *scheduler_fake;
static const void *scheduler_bottom;
static size_t scheduler_size;
#endif

static char *stack_new(void)
{
	if (n_free_stacks) {
#ifdef WITH_ASAN
		__asan_unpoison_memory_region(free_stacks[n_free_stacks - 1], STACK_BYTES);
#endif
		return free_stacks[--n_free_stacks];
	}
	char *s = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	assert(s != MAP_FAILED);
	return s;
}

static void stack_free(char *s)
{
	if (n_free_stacks < 256)
		free_stacks[n_free_stacks++] = s;
	else
		(void)munmap(s, STACK_BYTES);
}

static void fiber_main(void)
{
	struct fiber *f = eng.fiber;

#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, &scheduler_bottom, &scheduler_size);
#endif
	f->fn(f->arg);
	f->ended = true;
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(NULL, scheduler_bottom, scheduler_size); /* NULL: this stack is not used again */
#endif
	(void)swapcontext(&f->ctx, &scheduler);
	abort();
}

static struct list ended_fibers; /* others may still hold the handle */

static void fiber_end(struct fiber *f)
{
	f->ended = true;
	event_cancel(f->wake);
	f->wake = NULL;
	list_del(&f->link);
	list_add_tail(&ended_fibers, &f->link);
	stack_free(f->stack);
	proc_unref(f->p);
}

static void enter(struct fiber *f)
{
	struct fiber *outer = eng.fiber;
	struct proc *outer_proc = eng.proc;

	assert(!outer); /* fibers are entered from events only */
	eng.fiber = f;
	eng.proc = f->p;
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&scheduler_fake, f->stack, STACK_BYTES);
#endif
	(void)swapcontext(&scheduler, &f->ctx);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(scheduler_fake, NULL, NULL);
#endif
	eng.fiber = outer;
	eng.proc = outer_proc;
	if (f->ended)
		fiber_end(f);
}

static void suspend(void)
{
	struct fiber *f = eng.fiber;

#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&f->asan_fake, scheduler_bottom, scheduler_size);
#endif
	(void)swapcontext(&f->ctx, &scheduler);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(f->asan_fake, &scheduler_bottom, &scheduler_size);
#endif
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
	(void)getcontext(&f->ctx);
	f->ctx.uc_stack.ss_sp = f->stack;
	f->ctx.uc_stack.ss_size = STACK_BYTES;
	f->ctx.uc_link = NULL;
	makecontext(&f->ctx, fiber_main, 0);
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
	while (!list_empty(&p->fibers)) /* no code of it runs any more, as after kill -9 */
		fiber_end(list_entry(p->fibers.next, struct fiber, link));
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
		event_free(pop());
	list_for_each_safe(l, &ended_fibers) {
		list_del(l);
		free(list_entry(l, struct fiber, link));
	}
	free(eng.heap);
	eng.heap = NULL;
	eng.cap_heap = 0;
}
