/* Notes which stores of a package ever change what is there: a store that never does harms nobody who reads beside it.
 *
 * Linked into each shared library that is compiled for the race detector (keep-symbols.sh). Code compiled with
 * ThreadSanitizer calls __tsan_writeN(address) before each store of N bytes. The functions of these names below are
 * hidden: code of the same library calls them, and they go on to the detector's own, which sees the same caller as
 * before. What was there is kept until the next call of the same thread, at the latest the end of the function: by then
 * the store was made, and what is there now is compared with that.
 *
 * What comes of it is in the file that WHEELFARM_STORES names, which all processes share: SLOTS times a key, which is
 * made of the library's file name and of the place of the store in it (one less than where the detector's call returns
 * to, as in its reports), and whether it was seen to leave and to change what was there. stores.py reads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 32768 /* stores that are noted; more of them count as changing something */
#define PROBES 32
#define SKIPPED 8192 /* stores that changed something before: nothing more is to be known of them */
#define LEFT 1u
#define CHANGED 2u

struct slot {
  _Atomic uint64_t key;
  _Atomic uint32_t seen;
  uint32_t unused;
};

struct pending {
  struct slot *slot;
  const void *address;
  uint64_t before;
  uint32_t size;
  uint32_t offset;
};

static struct slot *table;
static uint64_t library;  /* in the upper half of keys */
static uintptr_t base;
static _Atomic uint32_t skipped[SKIPPED];
static __thread struct pending pending;

typedef void (*access_function)(void *);
typedef void (*exit_function)(void);
static access_function go_on_1, go_on_2, go_on_4, go_on_8;
static exit_function go_on_exit;

static uint64_t hash_name(const char *name) /* FNV-1a */
{
  uint32_t hash = 2166136261u;
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
  return hash;
}

static void find_functions(void)
{
  go_on_1 = (access_function)dlsym(RTLD_DEFAULT, "__tsan_write1");
  go_on_2 = (access_function)dlsym(RTLD_DEFAULT, "__tsan_write2");
  go_on_4 = (access_function)dlsym(RTLD_DEFAULT, "__tsan_write4");
  go_on_8 = (access_function)dlsym(RTLD_DEFAULT, "__tsan_write8");
  go_on_exit = (exit_function)dlsym(RTLD_DEFAULT, "__tsan_func_exit");
}

__attribute__((constructor(101))) static void begin(void)
{
  find_functions();
  const char *path = getenv("WHEELFARM_STORES");
  Dl_info found;
  if (path == NULL || !dladdr((void *)begin, &found)) return;

  const char *slash = strrchr(found.dli_fname, '/');
  library = hash_name(slash ? slash + 1 : found.dli_fname) << 32;
  base = (uintptr_t)found.dli_fbase;
  int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  void *mapped = mmap(NULL, SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) table = mapped;
}

/* The slot of a store, made if need be; NULL where there is no room. */
static struct slot *find_slot(uint32_t offset)
{
  uint64_t key = library | offset;
  uint64_t place = (key * 0x9e3779b97f4a7c15u) >> 49; /* 15 bits */
  for (int probe = 0; probe < PROBES; probe++) {
    struct slot *slot = &table[(place + probe) % SLOTS];
    uint64_t there = atomic_load_explicit(&slot->key, memory_order_relaxed);
    if (there == 0 && atomic_compare_exchange_strong(&slot->key, &there, key)) return slot;
    if (there == key) return slot;
  }
  return NULL;
}

/* Not by memcpy: the detector would take that for a read of the package. */
static uint64_t load(const void *address, uint32_t size)
{
  switch (size) {
    case 1: return *(const volatile uint8_t *)address;
    case 2: return *(const volatile uint16_t *)address;
    case 4: return *(const volatile uint32_t *)address;
    default: return *(const volatile uint64_t *)address;
  }
}

/* Whether memory can still be read: a package may have given it back since. */
static int is_mapped(const void *address, uint32_t size)
{
  uintptr_t page_size = 4096;
  uintptr_t first = (uintptr_t)address & ~(page_size - 1);
  uintptr_t last = ((uintptr_t)address + size - 1) & ~(page_size - 1);
  unsigned char there[2];
  return mincore((void *)first, last - first + page_size, there) == 0;
}

/* Note what became of the store before. */
static void settle(void)
{
  struct slot *slot = pending.slot;
  pending.slot = NULL;
  int is_left = is_mapped(pending.address, pending.size) && load(pending.address, pending.size) == pending.before;
  atomic_fetch_or_explicit(&slot->seen, is_left ? LEFT : CHANGED, memory_order_relaxed);
  if (!is_left) atomic_store_explicit(&skipped[pending.offset % SKIPPED], pending.offset, memory_order_relaxed);
}

static inline void note(void *address, uint32_t size, void *caller)
{
  if (table == NULL) return;
  if (pending.slot != NULL) settle();

  uint32_t offset = (uint32_t)((uintptr_t)caller - base - 1);
  if (atomic_load_explicit(&skipped[offset % SKIPPED], memory_order_relaxed) == offset) return;
  struct slot *slot = find_slot(offset);
  if (slot == NULL) return;
  if (atomic_load_explicit(&slot->seen, memory_order_relaxed) & CHANGED) {
    atomic_store_explicit(&skipped[offset % SKIPPED], offset, memory_order_relaxed);
    return;
  }
  pending = (struct pending){slot, address, load(address, size), size, offset};
}

/* By a jump, so that the detector takes who called this for its caller. */
#define WRITE(size)                                                             \
  __attribute__((visibility("hidden"))) void __tsan_write##size(void *address)  \
  {                                                                             \
    if (go_on_##size == NULL) find_functions();                                 \
    note(address, size, __builtin_return_address(0));                           \
    __attribute__((musttail)) return go_on_##size(address);                     \
  }

WRITE(1)
WRITE(2)
WRITE(4)
WRITE(8)

__attribute__((visibility("hidden"))) void __tsan_func_exit(void)
{
  if (go_on_exit == NULL) find_functions();
  if (pending.slot != NULL) settle();
  __attribute__((musttail)) return go_on_exit();
}
