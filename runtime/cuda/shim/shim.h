/*
 * CUDA C++ for a host compiler: the words of a kernel text, so that the very text nvcc gets runs on the CPU.
 *
 * Included before the text (-include). A kernel's parameters are packed as CUDA packs them; the driver appends one
 * TG_SHIM_KERNEL(name) per kernel. What needs other threads goes through the runtime's table (abi.h), which the thread
 * finds at the beginning of its stack. TG_SHIM is defined, for the few functions that are inline PTX on the device.
 * Dynamic shared memory is had from tg_dynamic_shared().
 */
#ifndef TG_SHIM_H
#define TG_SHIM_H

#include "abi.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define TG_SHIM 1

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section("tg_shared")))
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__

static inline __attribute__((always_inline)) tg_shim_thread *tg_shim_self()
{
    return (tg_shim_thread *)((uintptr_t)__builtin_frame_address(0) & ~(TG_SHIM_STACK - 1));
}

#define threadIdx (tg_shim_self()->thread_index)
#define blockIdx (tg_shim_self()->block_index)
#define blockDim (tg_shim_self()->block_size)
#define gridDim (tg_shim_self()->grid_size)
#define warpSize TG_SHIM_WARP

/* a function whose own accesses are the shim's, not the kernel's */
#define TG_SHIM_UNCHECKED __attribute__((no_sanitize("thread")))

#define tg_dynamic_shared() ((void *)tg_shim_self()->dynamic_shared)

/* --- vectors -------------------------------------------------------------------------------------------------------- */

#define TG_SHIM_VECTORS(type, name, bytes)                                                                                   \
    struct alignas(2 * bytes) name##2 { type x, y; };                                                                        \
    struct alignas(4 * bytes > 16 ? 16 : 4 * bytes) name##4 { type x, y, z, w; };                                            \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                                  \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

TG_SHIM_VECTORS(float, float, 4)
TG_SHIM_VECTORS(double, double, 8)
TG_SHIM_VECTORS(int, int, 4)
TG_SHIM_VECTORS(unsigned int, uint, 4)
TG_SHIM_VECTORS(short, short, 2)
TG_SHIM_VECTORS(unsigned short, ushort, 2)
TG_SHIM_VECTORS(signed char, char, 1)
TG_SHIM_VECTORS(unsigned char, uchar, 1)
TG_SHIM_VECTORS(long long, longlong, 8)
TG_SHIM_VECTORS(unsigned long long, ulonglong, 8)

/* --- threads that meet ---------------------------------------------------------------------------------------------- */

#define __syncthreads() tg_shim_self()->runtime->barrier(__LINE__)
#define __syncwarp(...) tg_shim_syncwarp(__LINE__, ##__VA_ARGS__)
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)

static inline void tg_shim_syncwarp(int line, uint32_t mask = UINT32_MAX)
{
    tg_shim_self()->runtime->ballot(mask, 0, line);
}

static inline unsigned tg_shim_lane()
{
    const tg_shim_thread *self = tg_shim_self();
    return (self->thread_index.x + self->block_size.x * (self->thread_index.y + self->block_size.y * self->thread_index.z)) % TG_SHIM_WARP;
}

template <class T> static inline T tg_shim_shuffle(int line, uint32_t mask, T value, unsigned source)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = tg_shim_self()->runtime->shuffle(mask, bits, source, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T> static inline T tg_shim_shuffle_in(int line, uint32_t mask, T value, int source, int width = TG_SHIM_WARP)
{
    return tg_shim_shuffle(line, mask, value, (tg_shim_lane() & -(unsigned)width) + ((unsigned)source & ((unsigned)width - 1)));
}

template <class T> static inline T tg_shim_shuffle_down(int line, uint32_t mask, T value, unsigned distance, int width = TG_SHIM_WARP)
{
    const unsigned lane = tg_shim_lane(), within = lane & ((unsigned)width - 1);
    return tg_shim_shuffle(line, mask, value, within + distance < (unsigned)width ? lane + distance : lane);
}

template <class T> static inline T tg_shim_shuffle_up(int line, uint32_t mask, T value, unsigned distance, int width = TG_SHIM_WARP)
{
    const unsigned lane = tg_shim_lane(), within = lane & ((unsigned)width - 1);
    return tg_shim_shuffle(line, mask, value, within >= distance ? lane - distance : lane);
}

template <class T> static inline T tg_shim_shuffle_xor(int line, uint32_t mask, T value, unsigned other, int width = TG_SHIM_WARP)
{
    const unsigned lane = tg_shim_lane(), source = lane ^ other;
    return tg_shim_shuffle(line, mask, value, source / (unsigned)width > lane / (unsigned)width ? lane : source);
}

#define __shfl_sync(...) tg_shim_shuffle_in(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) tg_shim_shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) tg_shim_shuffle_up(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) tg_shim_shuffle_xor(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, predicate) tg_shim_self()->runtime->ballot(mask, (predicate) != 0, __LINE__)
#define __any_sync(mask, predicate) (__ballot_sync(mask, predicate) != 0)
#define __all_sync(mask, predicate) (__ballot_sync(mask, !(predicate)) == 0)

/* What each lane of a whole warp gives, 32 places of TG_SHIM_SHARE bytes: for functions that are one instruction of a warp. */
#define tg_shim_share(mine) tg_shim_self()->runtime->share(&(mine), sizeof(mine), __LINE__)

/* --- copies to shared memory that go on while a thread works -------------------------------------------------------- */

#define tg_shim_copy(to, from, bytes, inside) tg_shim_self()->runtime->copy(to, from, bytes, inside)
#define tg_shim_copies_end() tg_shim_self()->runtime->end_copies()
#define tg_shim_copies_wait(most) tg_shim_self()->runtime->await_copies(most)

/* --- atomic operations: threads take turns only where they wait ----------------------------------------------------- */

template <class T> static inline void tg_shim_note_atomic(T *address);

template <class T, class Change> TG_SHIM_UNCHECKED static inline T tg_shim_atomic(T *address, Change change)
{
    tg_shim_note_atomic(address);
    T before, after;
    memcpy(&before, address, sizeof before);
    after = change(before);
    memcpy(address, &after, sizeof after);
    return before;
}

#define TG_SHIM_ATOMIC_FUNCTION(name, result)                                                                                \
    template <class T, class V> static inline T name(T *address, V given)                                                    \
    {                                                                                                                        \
        const T value = (T)given;                                                                                            \
        return tg_shim_atomic(address, [value](T before) -> T { (void)before; return result; });                             \
    }

TG_SHIM_ATOMIC_FUNCTION(atomicAdd, (T)(before + value))
TG_SHIM_ATOMIC_FUNCTION(atomicSub, (T)(before - value))
TG_SHIM_ATOMIC_FUNCTION(atomicMin, before < value ? before : value)
TG_SHIM_ATOMIC_FUNCTION(atomicMax, before > value ? before : value)
TG_SHIM_ATOMIC_FUNCTION(atomicAnd, (T)(before & value))
TG_SHIM_ATOMIC_FUNCTION(atomicOr, (T)(before | value))
TG_SHIM_ATOMIC_FUNCTION(atomicXor, (T)(before ^ value))
TG_SHIM_ATOMIC_FUNCTION(atomicExch, value)

template <class T, class V, class W> static inline T atomicCAS(T *address, V expected, W wanted)
{
    const T seen = (T)expected, value = (T)wanted;
    return tg_shim_atomic(address, [seen, value](T before) -> T { return before == seen ? value : before; });
}

/* --- numbers -------------------------------------------------------------------------------------------------------- */

template <class To, class From> static inline To tg_shim_same_bits(From value)
{
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}

#define __float_as_uint(x) tg_shim_same_bits<unsigned int>((float)(x))
#define __float_as_int(x) tg_shim_same_bits<int>((float)(x))
#define __uint_as_float(x) tg_shim_same_bits<float>((unsigned int)(x))
#define __int_as_float(x) tg_shim_same_bits<float>((int)(x))
#define __double_as_longlong(x) tg_shim_same_bits<long long>((double)(x))
#define __longlong_as_double(x) tg_shim_same_bits<double>((long long)(x))

static inline unsigned int __umulhi(unsigned int a, unsigned int b) { return (unsigned int)((uint64_t)a * b >> 32); }
static inline int __mulhi(int a, int b) { return (int)((int64_t)a * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned)x); }
static inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __popc(unsigned int x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }

/* Each operation rounds on its own: it must not become part of a fused one. */
#define TG_SHIM_ROUNDED(type, name, expression)                                                                              \
    static inline type name(type a, type b)                                                                                  \
    {                                                                                                                        \
        volatile type result = expression;                                                                                   \
        return result;                                                                                                       \
    }

TG_SHIM_ROUNDED(float, __fadd_rn, a + b)
TG_SHIM_ROUNDED(float, __fsub_rn, a - b)
TG_SHIM_ROUNDED(float, __fmul_rn, a * b)
TG_SHIM_ROUNDED(float, __fdiv_rn, a / b)
TG_SHIM_ROUNDED(double, __dadd_rn, a + b)
TG_SHIM_ROUNDED(double, __dsub_rn, a - b)
TG_SHIM_ROUNDED(double, __dmul_rn, a * b)
TG_SHIM_ROUNDED(double, __ddiv_rn, a / b)
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

#define TG_SHIM_MIN_MAX(type)                                                                                                \
    static inline type min(type a, type b) { return a < b ? a : b; }                                                         \
    static inline type max(type a, type b) { return a > b ? a : b; }

TG_SHIM_MIN_MAX(int)
TG_SHIM_MIN_MAX(unsigned int)
TG_SHIM_MIN_MAX(long)
TG_SHIM_MIN_MAX(unsigned long)
TG_SHIM_MIN_MAX(long long)
TG_SHIM_MIN_MAX(unsigned long long)
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

#define __ldg(address) (*(address))
#define __ldcs(address) (*(address))
#define __ldcg(address) (*(address))
#define __stcs(address, value) ((void)(*(address) = (value)))
#define __stcg(address, value) ((void)(*(address) = (value)))
#define __trap() tg_shim_self()->runtime->fault("__trap()")
#define __nanosleep(time) ((void)0)

/* --- what the driver calls ------------------------------------------------------------------------------------------ */

#define TG_SHIM_EXPORT extern "C" __attribute__((visibility("default")))

/* The parameter that begins at or after byte `at`, which moves behind it. */
template <class T> TG_SHIM_UNCHECKED static inline T tg_shim_parameter(const unsigned char *bytes, size_t &at)
{
    const size_t begin = (at + alignof(T) - 1) / alignof(T) * alignof(T);
    T value;
    memcpy((void *)&value, bytes + begin, sizeof value);
    at = begin + sizeof value;
    return value;
}

template <class... Taken> struct tg_shim_call {
    tg_shim_call(void (*kernel)(Taken...), Taken... taken) { kernel(taken...); }
};

template <class... Taken> static inline void tg_shim_start(void (*kernel)(Taken...), const unsigned char *bytes)
{
    size_t at = 0;
    tg_shim_call<Taken...>{kernel, tg_shim_parameter<Taken>(bytes, at)...};  // in braces: from left to right
}

#define TG_SHIM_KERNEL(name)                                                                                                 \
    TG_SHIM_EXPORT void tg_shim_entry_##name(const unsigned char *bytes) { tg_shim_start(name, bytes); }

extern "C" {
extern unsigned char __start_tg_shared[] __attribute__((weak, visibility("hidden")));
extern unsigned char __stop_tg_shared[] __attribute__((weak, visibility("hidden")));
extern const unsigned char __ehdr_start[] __attribute__((visibility("hidden")));
extern const unsigned char _end[] __attribute__((visibility("hidden")));
}

#ifdef TG_SHIM_CHECKS
#define TG_SHIM_HOOK TG_SHIM_EXPORT TG_SHIM_UNCHECKED
#define TG_SHIM_ACCESSES(bytes)                                                                                              \
    TG_SHIM_HOOK void __tsan_read##bytes(void *a) { tg_shim_self()->runtime->access(a, bytes, TG_SHIM_READ); }               \
    TG_SHIM_HOOK void __tsan_write##bytes(void *a) { tg_shim_self()->runtime->access(a, bytes, TG_SHIM_WRITE); }             \
    TG_SHIM_HOOK void __tsan_unaligned_read##bytes(void *a) { tg_shim_self()->runtime->access(a, bytes, TG_SHIM_READ); }     \
    TG_SHIM_HOOK void __tsan_unaligned_write##bytes(void *a) { tg_shim_self()->runtime->access(a, bytes, TG_SHIM_WRITE); }
TG_SHIM_ACCESSES(1)
TG_SHIM_ACCESSES(2)
TG_SHIM_ACCESSES(4)
TG_SHIM_ACCESSES(8)
TG_SHIM_ACCESSES(16)
TG_SHIM_HOOK void __tsan_read_range(void *a, long bytes) { tg_shim_self()->runtime->access(a, (size_t)bytes, TG_SHIM_READ); }
TG_SHIM_HOOK void __tsan_write_range(void *a, long bytes) { tg_shim_self()->runtime->access(a, (size_t)bytes, TG_SHIM_WRITE); }
TG_SHIM_HOOK void __tsan_func_entry(void *) {}
TG_SHIM_HOOK void __tsan_func_exit(void *) {}
TG_SHIM_HOOK void __tsan_init() {}
template <class T> static inline void tg_shim_note_atomic(T *address)
{
    tg_shim_self()->runtime->access(address, sizeof *address, TG_SHIM_ATOMIC);
}
#else
template <class T> static inline void tg_shim_note_atomic(T *) {}
#endif

#ifdef TG_SHIM_CHECKS
#define TG_SHIM_IS_CHECKED 1
#else
#define TG_SHIM_IS_CHECKED 0
#endif

TG_SHIM_EXPORT const tg_shim_module_info tg_shim_module = {__start_tg_shared, __stop_tg_shared, __ehdr_start, _end, TG_SHIM_IS_CHECKED};

#endif
