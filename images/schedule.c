/* A search of schedules: threads are delayed at yield points, so that orders of their steps come about which are rare.
 *
 * Yield points are where the interpreter's allocators are called, and where shared objects of the package call a
 * function of the table below: of the allocator, of locks, of reference counts, of containers. Nothing is changed but
 * pointers to functions: the interpreter's allocators, which the C API can wrap, and the slots through which a shared
 * object calls others. So it works with any interpreter, and with wheels as they are.
 *
 * A thread sleeps there, attached and with the locks that it has, as any thread may whose CPU is taken from it: what
 * shows with a delay can show without one. How many delays a thread makes, how long they are and at which points they
 * are made is told from outside (inside/stress/play/schedules.py); at which of these points, a generator of random numbers
 * decides that begins alike for the same seed. A yield point takes no lock and allocates nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Kinds of yield points, as bits of a plan. */
enum { ALLOCATE = 1, RELEASE = 2, COUNT = 4, LOCK = 8, CONTAINER = 16, CALL = 32 };

/* What is the same for all threads; changed only while none is between `schedule_begin` and `schedule_end`. */
static struct {
    uint64_t seed;
    unsigned kinds;
    long gap;       /* yield points from one delay to the next, on average */
    long pause_us;  /* of a delay, on average */
    long delays;    /* of each thread, at most */
} plan;

/* In the static block: reading it allocates nothing, also in a thread that reads it for the first time. */
static __thread struct {
    uint64_t random;
    long left;
    long countdown;
} thread __attribute__((tls_model("initial-exec")));

/* Return the next random number of a thread: splitmix64. */
static uint64_t
next_random(void)
{
    uint64_t mixed = thread.random += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* Return a random number from 1 to 2 * mean - 1. */
static long
draw(long mean)
{
    return mean < 2 ? 1 : 1 + (long)(next_random() % (uint64_t)(2 * mean - 1));
}

static __attribute__((noinline)) void
delay(void)
{
    int kept = errno;
    long pause_us = draw(plan.pause_us);
    struct timespec pause = {pause_us / 1000000, pause_us % 1000000 * 1000};

    thread.left--;
    thread.countdown = draw(plan.gap);
    nanosleep(&pause, NULL);
    errno = kept;
}

static inline void
reach(unsigned kind)
{
    if (thread.left > 0 && (plan.kinds & kind) && --thread.countdown <= 0) {
        delay();
    }
}

/* The interpreter's allocators: PyMemAllocatorEx of the C API, and its domains. */
typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *block, size_t size);
    void (*free)(void *ctx, void *block);
} Allocator;

enum { DOMAINS = 3 };
static Allocator allocators[DOMAINS];

static void *
wrap_malloc(void *ctx, size_t size)
{
    Allocator *allocator = ctx;
    reach(ALLOCATE);
    return allocator->malloc(allocator->ctx, size);
}

static void *
wrap_calloc(void *ctx, size_t count, size_t size)
{
    Allocator *allocator = ctx;
    reach(ALLOCATE);
    return allocator->calloc(allocator->ctx, count, size);
}

static void *
wrap_realloc(void *ctx, void *block, size_t size)
{
    Allocator *allocator = ctx;
    reach(ALLOCATE);
    void *moved = allocator->realloc(allocator->ctx, block, size);
    reach(RELEASE);
    return moved;
}

static void
wrap_free(void *ctx, void *block)
{
    Allocator *allocator = ctx;
    reach(RELEASE);
    allocator->free(allocator->ctx, block);
    reach(RELEASE);
}

/* Functions that shared objects call. All have six arguments or fewer, which are numbers or pointers, and a result that
 * is one or none: so they can be called without knowing more of them. A thread can be delayed before and after. */
#define POINTS(POINT) \
    POINT(malloc, ALLOCATE) POINT(calloc, ALLOCATE) POINT(realloc, RELEASE) POINT(free, RELEASE) \
    POINT(_Znwm, ALLOCATE) POINT(_Znam, ALLOCATE) \
    POINT(_ZdlPv, RELEASE) POINT(_ZdlPvm, RELEASE) POINT(_ZdaPv, RELEASE) POINT(_ZdaPvm, RELEASE) \
    POINT(memcpy, CALL) POINT(memmove, CALL) POINT(memset, CALL) POINT(strlen, CALL) POINT(strcpy, CALL) \
    POINT(strcmp, CALL) POINT(strtok, CALL) POINT(gmtime, CALL) POINT(localtime, CALL) POINT(strftime, CALL) \
    POINT(pthread_mutex_lock, LOCK) POINT(pthread_mutex_unlock, LOCK) POINT(pthread_mutex_trylock, LOCK) \
    POINT(PyMutex_Lock, LOCK) POINT(PyMutex_Unlock, LOCK) \
    POINT(PyCriticalSection_Begin, LOCK) POINT(PyCriticalSection_End, LOCK) \
    POINT(PyCriticalSection2_Begin, LOCK) POINT(PyCriticalSection2_End, LOCK) \
    POINT(PyThread_acquire_lock, LOCK) POINT(PyThread_release_lock, LOCK) \
    POINT(PyEval_SaveThread, LOCK) POINT(PyEval_RestoreThread, LOCK) \
    POINT(_Py_DecRefShared, COUNT) POINT(_Py_MergeZeroLocalRefcount, COUNT) POINT(_Py_Dealloc, COUNT) \
    POINT(Py_IncRef, COUNT) POINT(Py_DecRef, COUNT) POINT(_Py_IncRef, COUNT) POINT(_Py_DecRef, COUNT) \
    POINT(PyDict_GetItem, CONTAINER) POINT(PyDict_GetItemWithError, CONTAINER) POINT(PyDict_GetItemString, CONTAINER) \
    POINT(PyDict_GetItemRef, CONTAINER) POINT(PyDict_SetItem, CONTAINER) POINT(PyDict_SetItemString, CONTAINER) \
    POINT(PyDict_DelItem, CONTAINER) POINT(PyDict_Next, CONTAINER) POINT(PyDict_Contains, CONTAINER) \
    POINT(PyDict_Size, CONTAINER) POINT(PyDict_SetDefault, CONTAINER) POINT(PyDict_SetDefaultRef, CONTAINER) \
    POINT(PyList_GetItem, CONTAINER) POINT(PyList_GetItemRef, CONTAINER) POINT(PyList_SetItem, CONTAINER) \
    POINT(PyList_Append, CONTAINER) POINT(PyList_Insert, CONTAINER) POINT(PyList_Size, CONTAINER) \
    POINT(PyTuple_GetItem, CONTAINER) POINT(PyTuple_Size, CONTAINER) POINT(PySet_Add, CONTAINER) \
    POINT(PySet_Contains, CONTAINER) POINT(PySequence_GetItem, CONTAINER) POINT(PySequence_Size, CONTAINER) \
    POINT(PyObject_GetItem, CONTAINER) POINT(PyObject_SetItem, CONTAINER) POINT(PyIter_Next, CONTAINER) \
    POINT(PyObject_GetBuffer, CONTAINER) POINT(PyBuffer_Release, CONTAINER) \
    POINT(PyWeakref_GetObject, CONTAINER) POINT(PyWeakref_GetRef, CONTAINER) \
    POINT(PyObject_GetAttr, CALL) POINT(PyObject_GetAttrString, CALL) POINT(PyObject_SetAttr, CALL) \
    POINT(PyObject_RichCompare, CALL) POINT(PyObject_RichCompareBool, CALL) POINT(PyObject_Hash, CALL) \
    POINT(PyObject_Str, CALL) POINT(PyObject_Repr, CALL) POINT(PyObject_IsTrue, CALL) \
    POINT(PyObject_CallNoArgs, CALL) POINT(PyObject_CallOneArg, CALL) POINT(PyObject_CallObject, CALL) \
    POINT(PyObject_Call, CALL) POINT(PyObject_Vectorcall, CALL) POINT(PyObject_CallMethodNoArgs, CALL) \
    POINT(PyObject_CallMethodOneArg, CALL) POINT(PyErr_Occurred, CALL) POINT(PyErr_SetString, CALL) \
    POINT(PyLong_FromLong, CALL) POINT(PyLong_FromSsize_t, CALL) POINT(PyLong_FromLongLong, CALL) \
    POINT(PyLong_FromUnsignedLongLong, CALL) POINT(PyLong_AsLong, CALL) POINT(PyLong_AsLongLong, CALL) \
    POINT(PyLong_AsInt, CALL) POINT(PyLong_AsSsize_t, CALL) \
    POINT(PyBytes_FromStringAndSize, CALL) POINT(PyBytes_AsString, CALL) \
    POINT(PyUnicode_FromString, CALL) POINT(PyUnicode_FromStringAndSize, CALL) POINT(PyUnicode_AsUTF8, CALL) \
    POINT(PyUnicode_AsUTF8AndSize, CALL) POINT(PyUnicode_New, CALL) POINT(PyUnicode_Compare, CALL) POINT(PyUnicode_Equal, CALL) POINT(PyUnicode_RichCompare, CALL) \
    POINT(PyUnicodeWriter_WriteStr, CALL) POINT(PyUnicodeWriter_WriteUTF8, CALL) POINT(PyUnicodeWriter_WriteChar, CALL) \
    POINT(_PyObject_New, CALL) POINT(_PyObject_GC_New, CALL) POINT(PyType_GenericAlloc, CALL) POINT(PyObject_GC_Del, CALL)

typedef long (*Function)(long, long, long, long, long, long);

#define DEFINE(name, kind) \
    static Function real_##name; \
    static long call_##name(long a, long b, long c, long d, long e, long f) \
    { \
        reach(kind); \
        long result = real_##name(a, b, c, d, e, f); \
        reach(kind); \
        return result; \
    }
POINTS(DEFINE)

static const struct {
    const char *name;
    Function *real;
    Function call;
} points[] = {
#define LIST(name, kind) {#name, &real_##name, call_##name},
    POINTS(LIST)
};

/* A shared object whose slots are redirected. */
typedef struct {
    uintptr_t base, end;
    void *handle;
    const ElfW(Sym) *symbols;
    const char *names;
} Object;

/* Find what a slot leads to, or will lead to once it is called for the first time; NULL where that is not sure. Of
 * some libraries there are several in a process, such as that of C++. */
static Function
resolve(const Object *object, uintptr_t bound, const char *name)
{
    uintptr_t found = (uintptr_t)dlsym(RTLD_DEFAULT, name);
    if (found == 0 && object->handle != NULL) {
        found = (uintptr_t)dlsym(object->handle, name);
    }
    int is_bound = bound < object->base || bound >= object->end;
    return is_bound && bound != found ? NULL : (Function)found;
}

/* Let a slot lead to the yield point for a function, if there is one of that name. */
static int
redirect(const Object *object, uintptr_t *slot, const char *name)
{
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
        if (strcmp(points[i].name, name) != 0 || *slot == (uintptr_t)points[i].call) {
            continue;
        }
        Function real = resolve(object, *slot, name);
        if (real == NULL || (*points[i].real != NULL && *points[i].real != real)) {
            return 0;
        }
        /* After it was loaded, a table of slots may not be written any more. */
        uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
        void *page = (void *)((uintptr_t)slot & ~(size - 1));
        if (mprotect(page, size, PROT_READ | PROT_WRITE) != 0) {
            return 0;
        }
        *points[i].real = real;
        *slot = (uintptr_t)points[i].call;
        return 1;
    }
    return 0;
}

static int
redirect_all(const Object *object, uintptr_t table, size_t bytes)
{
    const ElfW(Rela) *relocations = (const ElfW(Rela) *)table;
    int redirected = 0;
    for (size_t i = 0; i < bytes / sizeof(*relocations); i++) {
        unsigned long type = ELF64_R_TYPE(relocations[i].r_info);
#if defined(__x86_64__)
        int is_slot = type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
#elif defined(__aarch64__)
        int is_slot = type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
#else
        int is_slot = 0;
#endif
        if (is_slot) {
            const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(relocations[i].r_info)];
            uintptr_t *slot = (uintptr_t *)(object->base + relocations[i].r_offset);
            redirected += redirect(object, slot, object->names + symbol->st_name);
        }
    }
    return redirected;
}

typedef struct {
    const char *folder;
    int redirected;
} Search;

/* Redirect the slots of a shared object that lies in the folder of a search. */
static int
visit_object(struct dl_phdr_info *info, size_t size, void *data)
{
    Search *search = data;
    (void)size;
    if (strncmp(info->dlpi_name, search->folder, strlen(search->folder)) != 0) {
        return 0;
    }

    Object object = {.base = info->dlpi_addr};
    const ElfW(Dyn) *entry = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t end = object.base + segment->p_vaddr + segment->p_memsz;
        if (segment->p_type == PT_LOAD && end > object.end) {
            object.end = end;
        }
        if (segment->p_type == PT_DYNAMIC) {
            entry = (const ElfW(Dyn) *)(object.base + segment->p_vaddr);
        }
    }

    uintptr_t calls = 0, others = 0;
    size_t calls_bytes = 0, others_bytes = 0;
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL: calls = entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: calls_bytes = entry->d_un.d_val; break;
        case DT_RELA: others = entry->d_un.d_ptr; break;
        case DT_RELASZ: others_bytes = entry->d_un.d_val; break;
        case DT_SYMTAB: object.symbols = (const ElfW(Sym) *)entry->d_un.d_ptr; break;
        case DT_STRTAB: object.names = (const char *)entry->d_un.d_ptr; break;
        }
    }
    if (object.symbols == NULL || object.names == NULL) {
        return 0;
    }

    object.handle = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    search->redirected += redirect_all(&object, calls, calls == 0 ? 0 : calls_bytes);
    search->redirected += redirect_all(&object, others, others == 0 ? 0 : others_bytes);
    if (object.handle != NULL) {
        dlclose(object.handle);
    }
    return 0;
}

/* Make the yield points, while there is one thread; return how many slots of shared objects in a folder have one. */
int
schedule_install(const char *folder)
{
    void (*get)(int, Allocator *) = (void (*)(int, Allocator *))dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    void (*set)(int, Allocator *) = (void (*)(int, Allocator *))dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    for (int domain = 0; get != NULL && set != NULL && domain < DOMAINS; domain++) {
        if (allocators[domain].malloc == NULL) {
            get(domain, &allocators[domain]);
            Allocator wrapped = {&allocators[domain], wrap_malloc, wrap_calloc, wrap_realloc, wrap_free};
            set(domain, &wrapped);
        }
    }
    Search search = {folder, 0};
    dl_iterate_phdr(visit_object, &search);
    return search.redirected;
}

/* Say how threads that begin from now on are delayed. */
void
schedule_plan(uint64_t seed, unsigned kinds, long gap, long pause_us, long delays)
{
    plan.seed = seed;
    plan.kinds = kinds;
    plan.gap = gap;
    plan.pause_us = pause_us;
    plan.delays = delays;
}

/* Delay this thread from now on; it has a number, by which its random numbers differ from those of others. */
void
schedule_begin(uint64_t number)
{
    thread.random = plan.seed * 0x2545f4914f6cdd1du + number;
    next_random();
    thread.countdown = draw(plan.gap);
    thread.left = plan.delays;
}

/* Delay this thread no more; return how many delays it made. */
long
schedule_end(void)
{
    long made = plan.delays - thread.left;
    thread.left = 0;
    return made;
}
