/* Lets other threads run in front of where a package takes a reference: what it got the address of without one (a
 * borrowed reference) is freed meanwhile, if nothing keeps the others from that.
 *
 * Linked into each shared library that is compiled for the race detector (keep-symbols.sh). Py_INCREF of the
 * free-threaded build begins with an atomic load of 32 bits (ob_ref_local in Include/refcount.h), for which code
 * compiled with ThreadSanitizer calls __tsan_atomic32_load. The function of this name below is hidden: code of the same
 * library calls it, and it goes on to the detector's own, which sees the same caller as before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ONE_OF 16       /* loads: a call makes a few */
#define PAUSE_NS 50000  /* as long as a call or two of another thread take; the kernel adds as much */
#define MOST 2000       /* pauses of a thread: 0.2 s */

typedef uint32_t (*load_function)(const volatile void *, int);
static load_function go_on;

static __thread uint32_t random_state; /* 0 until the first load */
static __thread int pauses_left;

/* The thread that the process began with is alone, or waits for the others: it never pauses. */
static void begin_thread(void)
{
  pid_t thread = (pid_t)syscall(SYS_gettid);
  random_state = (uint32_t)thread * 2654435769u | 1;
  pauses_left = thread == getpid() ? 0 : MOST;
}

static void pause_sometimes(void)
{
  if (random_state == 0) begin_thread();
  if (pauses_left == 0) return;

  random_state ^= random_state << 13; /* Marsaglia, Xorshift RNGs, 2003 */
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  if (random_state % ONE_OF) return;

  pauses_left--;
  struct timespec pause = {0, PAUSE_NS};
  syscall(SYS_nanosleep, &pause, NULL);
}

/* By a jump, so that the detector takes who called this for its caller. */
__attribute__((visibility("hidden"))) uint32_t __tsan_atomic32_load(const volatile void *address, int order)
{
  if (go_on == NULL) go_on = (load_function)dlsym(RTLD_DEFAULT, "__tsan_atomic32_load");
  pause_sometimes();
  __attribute__((musttail)) return go_on(address, order);
}
