/*
 * The functions of CUDA's runtime that an exported library calls, with the host as the only device: what `#include
 * <cuda_runtime.h>` finds when MODEL.cu is compiled by a C++ compiler after shim.h. All work is done at once, in the order
 * of the calls. The library is linked with the shim's own runtime (fibers.c, order.c, check.c).
 *
 * `tg_shim_device` is what tests look at, and set: how much memory there is, how often something was copied or launched.
 */
#ifndef TG_SHIM_CUDA_RUNTIME_H
#define TG_SHIM_CUDA_RUNTIME_H

#include "shim.h"

#include <stdlib.h>

extern "C" {
const char *tg_shim_launch(const tg_shim_launch_info *launch);
void *tg_shim_allocate(size_t bytes);
void tg_shim_free(void *memory);
int tg_shim_is_allocated(const void *address, size_t bytes);
}

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorInvalidDeviceFunction = 98,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorUnsupportedPtxVersion = 222,
    cudaErrorLaunchFailure = 719
} cudaError_t;

typedef enum cudaMemcpyKind {
    cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault
} cudaMemcpyKind;

typedef enum cudaMemoryType {
    cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged
} cudaMemoryType;

struct dim3 {
    unsigned int x, y, z;
    dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
};

struct cudaPointerAttributes {
    cudaMemoryType type;
    int device;
};

struct cudaFuncAttributes {
    int binaryVersion;
};

struct cudaKernelNodeParams { /* in CUDA's order, by which it is initialised; the names gridDim and blockDim are taken */
    void *func;
    dim3 grid, block;
    unsigned int sharedMemBytes;
    void **kernelParams, **extra;
};

/* --- the device ----------------------------------------------------------------------------------------------------- */

typedef struct tg_shim_device_state {
    int64_t memory, used;                  /* bytes */
    int64_t devices;                       /* 1, or 0 as without a driver */
    int64_t fails;                         /* not 0: every launch is an error */
    int64_t copies_in, copies_out;         /* from host to device and back */
    int64_t launches, graph_launches;
} tg_shim_device_state;

extern "C" {
__attribute__((visibility("default"))) tg_shim_device_state tg_shim_device = {(int64_t)8 << 30, 0, 1, 0, 0, 0, 0, 0};
}

static char tg_shim_is_taken;

/* The host's threads take turns: the shim's runtime has one block's state, and one table of allocations. */
struct tg_shim_turn {
    tg_shim_turn()
    {
        while (__atomic_test_and_set(&tg_shim_is_taken, __ATOMIC_ACQUIRE))
            ;
    }
    ~tg_shim_turn() { __atomic_clear(&tg_shim_is_taken, __ATOMIC_RELEASE); }
};

static cudaError_t tg_shim_error = cudaSuccess;    /* of a kernel that has failed; for good */
static char tg_shim_failure[512];

static inline cudaError_t tg_shim_present()
{
    return tg_shim_device.devices == 0 ? cudaErrorNoDevice : tg_shim_error;
}

static inline const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorLaunchFailure: return tg_shim_failure;
    default: return "another error";
    }
}

static inline cudaError_t cudaGetLastError() { return tg_shim_error; }
static inline cudaError_t cudaSetDevice(int device) { return device == 0 ? tg_shim_present() : cudaErrorInvalidDevice; }

static inline cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return tg_shim_present();
}

template <class T> static inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *found, T *)
{
    found->binaryVersion = 80;
    return tg_shim_present();
}

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* Before each allocation on the device, in host memory: its bytes. */
static struct tg_shim_block {
    void *memory;
    int64_t bytes;
} tg_shim_blocks[1024];

static inline cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    const tg_shim_turn turn;
    if (tg_shim_present() != cudaSuccess)
        return tg_shim_present();
    for (tg_shim_block &block : tg_shim_blocks)
        if (block.memory == NULL) {
            if (bytes > (size_t)(tg_shim_device.memory - tg_shim_device.used) || (block.memory = tg_shim_allocate(bytes)) == NULL)
                return cudaErrorMemoryAllocation;
            block.bytes = (int64_t)bytes;
            tg_shim_device.used += block.bytes;
            *memory = block.memory;
            return cudaSuccess;
        }
    return cudaErrorMemoryAllocation;
}

static inline cudaError_t cudaFree(void *memory)
{
    const tg_shim_turn turn;
    for (tg_shim_block &block : tg_shim_blocks)
        if (memory != NULL && block.memory == memory) {
            tg_shim_device.used -= block.bytes;
            tg_shim_free(memory);
            block.memory = NULL;
            return cudaSuccess;
        }
    return memory == NULL ? cudaSuccess : cudaErrorInvalidValue;
}

static inline cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    if (tg_shim_present() != cudaSuccess)
        return tg_shim_present();
    return posix_memalign(memory, 4096, bytes) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}

static inline cudaError_t cudaFreeHost(void *memory)
{
    free(memory);
    return cudaSuccess;
}

static inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *found, const void *pointer)
{
    const tg_shim_turn turn;
    found->type = tg_shim_is_allocated(pointer, 1) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    found->device = 0;
    return tg_shim_present();
}

typedef struct tg_shim_stream *cudaStream_t;

static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t)
{
    const tg_shim_turn turn;
    const bool into = tg_shim_is_allocated(to, bytes), out = tg_shim_is_allocated(from, bytes);
    if ((kind == cudaMemcpyHostToDevice && !into) || (kind == cudaMemcpyDeviceToHost && !out))
        return cudaErrorInvalidValue;
    tg_shim_device.copies_in += into && !out;
    tg_shim_device.copies_out += out && !into;
    memcpy(to, from, bytes);
    return tg_shim_present();
}

/* --- streams -------------------------------------------------------------------------------------------------------- */

struct tg_shim_stream {
    int unused;
};

static inline cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    static tg_shim_stream only;
    *stream = &only;
    return tg_shim_present();
}

static inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
static inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return tg_shim_present(); }

/* --- launches ------------------------------------------------------------------------------------------------------- */

enum { TG_SHIM_MOST_PARAMETERS = 4096, TG_SHIM_MOST_KERNELS = 4096, TG_SHIM_FRONT = 16 };

/* A launch: the kernel's address in the first bytes of `bytes`, and its parameters after TG_SHIM_FRONT of them. */
typedef struct tg_shim_work {
    tg_shim_entry entry;
    dim3 grid, block;
    size_t shared;
    struct tg_shim_work *next;
    alignas(16) unsigned char bytes[TG_SHIM_FRONT + TG_SHIM_MOST_PARAMETERS];
} tg_shim_work;

typedef void (*tg_shim_packer)(tg_shim_work *work, void *function, void **parameters);

/* How the kernels that have been launched take their parameters, which an address alone does not tell. */
static struct {
    void *function;
    tg_shim_packer pack;
} tg_shim_kernels[TG_SHIM_MOST_KERNELS];

/* False: there is no room for one more. */
static bool tg_shim_remember(void *function, tg_shim_packer pack)
{
    const tg_shim_turn turn;
    for (auto &kernel : tg_shim_kernels)
        if (kernel.function == NULL || kernel.function == function) {
            kernel.pack = pack;
            kernel.function = function;
            return true;
        }
    return false;
}

template <class... Taken> static void tg_shim_run_kernel(const unsigned char *bytes)
{
    void (*kernel)(Taken...);
    memcpy((void *)&kernel, bytes, sizeof kernel);
    tg_shim_start(kernel, bytes + TG_SHIM_FRONT);
}

template <class T> static inline int tg_shim_put(unsigned char *bytes, size_t &at, const void *value)
{
    const size_t size = sizeof(T), begin = (at + alignof(T) - 1) / alignof(T) * alignof(T);
    memcpy(bytes + begin, value, size);
    at = begin + size;
    return 0;
}

template <class... Taken> static void tg_shim_pack(tg_shim_work *work, void *function, void **parameters)
{
    size_t at = 0;
    work->entry = tg_shim_run_kernel<Taken...>;
    memcpy(work->bytes, (const void *)&function, sizeof(void *));
    const int done[] = {0, tg_shim_put<Taken>(work->bytes + TG_SHIM_FRONT, at, *parameters++)...};
    (void)done;
}

static cudaError_t tg_shim_run(const tg_shim_work *work)
{
    const tg_shim_turn turn;
    const uint3 grid = {work->grid.x, work->grid.y, work->grid.z}, block = {work->block.x, work->block.y, work->block.z};
    const tg_shim_launch_info launch = {work->entry, &tg_shim_module, "a kernel", work->bytes, grid, block, work->shared, 0};
    const char *failure = tg_shim_device.fails ? "this device fails" : tg_shim_launch(&launch);
    if (failure != NULL) {
        strncpy(tg_shim_failure, failure, sizeof tg_shim_failure - 1);
        tg_shim_error = cudaErrorLaunchFailure;
    }
    ++tg_shim_device.launches;
    return cudaSuccess; /* a fault shows when somebody waits */
}

template <class... Taken>
static inline cudaError_t cudaLaunchKernel(void (*kernel)(Taken...), dim3 grid, dim3 block, void **parameters,
                                           size_t shared = 0, cudaStream_t = NULL)
{
    tg_shim_work work;
    if (!tg_shim_remember((void *)kernel, tg_shim_pack<Taken...>))
        return cudaErrorInvalidDeviceFunction;
    work.grid = grid;
    work.block = block;
    work.shared = shared;
    tg_shim_pack<Taken...>(&work, (void *)kernel, parameters);
    return tg_shim_present() != cudaSuccess ? tg_shim_present() : tg_shim_run(&work);
}

/* --- graphs: launches one after the other --------------------------------------------------------------------------- */

typedef struct tg_shim_graph {
    tg_shim_work *first, *last;
} *cudaGraph_t, *cudaGraphExec_t;
typedef tg_shim_work *cudaGraphNode_t;

static inline cudaError_t cudaGraphCreate(cudaGraph_t *graph, unsigned int)
{
    *graph = (cudaGraph_t)calloc(1, sizeof **graph);
    return *graph == NULL ? cudaErrorMemoryAllocation : tg_shim_present();
}

static inline cudaError_t tg_shim_append(cudaGraph_t graph, const tg_shim_work *work)
{
    tg_shim_work *copy = (tg_shim_work *)malloc(sizeof *copy);
    if (copy == NULL)
        return cudaErrorMemoryAllocation;
    memcpy((void *)copy, work, sizeof *copy);
    copy->next = NULL;
    (graph->last == NULL ? graph->first : graph->last->next) = copy;
    graph->last = copy;
    return cudaSuccess;
}

static inline cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *before,
                                                 size_t count, const cudaKernelNodeParams *wanted)
{
    tg_shim_work work;
    int i = 0;
    if (count != (graph->last != NULL) || (count == 1 && *before != graph->last))
        return cudaErrorInvalidValue; /* a node that does not follow the last one */
    while (tg_shim_kernels[i].function != wanted->func)
        if (++i == TG_SHIM_MOST_KERNELS || tg_shim_kernels[i].function == NULL)
            return cudaErrorInvalidDeviceFunction;
    work.grid = wanted->grid;
    work.block = wanted->block;
    work.shared = wanted->sharedMemBytes;
    tg_shim_kernels[i].pack(&work, wanted->func, wanted->kernelParams);
    const cudaError_t error = tg_shim_append(graph, &work);
    *node = graph->last;
    return error;
}

static inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    cudaError_t error = cudaGraphCreate(executable, 0);
    for (const tg_shim_work *work = graph->first; error == cudaSuccess && work != NULL; work = work->next)
        error = tg_shim_append(*executable, work);
    return error;
}

static inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t)
{
    __atomic_add_fetch(&tg_shim_device.graph_launches, 1, __ATOMIC_RELAXED);
    for (const tg_shim_work *work = executable->first; work != NULL; work = work->next)
        if (tg_shim_present() == cudaSuccess)
            tg_shim_run(work);
    return tg_shim_present();
}

static inline cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    for (tg_shim_work *work = graph->first, *next; work != NULL; work = next) {
        next = work->next;
        free(work);
    }
    free(graph);
    return cudaSuccess;
}

static inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return cudaGraphDestroy(executable); }

#endif
