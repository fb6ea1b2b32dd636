/*
 * A libcuda.so.1 of the tests' own: the driver functions that PyCUDA and runtime/cuda/capture.py call, on memory of the host.
 *
 * An image is the library that the host shim makes of a kernel text; its kernels run on the shim's fibers. Everything
 * else is as strict as the driver's documentation lets it be: calls without a context, addresses of the wrong side,
 * handles that are gone, things that must not be done while a stream is captured, and faults that stay are all errors.
 * Work in a stream is done as late as can be, when somebody waits for it. $FAKE_CUDA_DEVICES: how many devices there are.
 */
#ifndef FAKE_DRIVER_STATE_H
#define FAKE_DRIVER_STATE_H

#include <cuda.h>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "abi.h" /* the host shim's */
void *tg_shim_allocate(size_t bytes);
void tg_shim_free(void *address);
const char *tg_shim_launch(const tg_shim_launch_info *launch);
}

using Work = std::function<CUresult()>;

/* What a stream was given while it was captured. */
struct CUgraph_st {
    CUcontext context;
    std::vector<Work> nodes;
};

struct CUgraphExec_st {
    CUcontext context;
    std::vector<Work> nodes;
};

struct Capture {
    CUgraph graph;
    CUstreamCaptureMode mode;
    std::thread::id owner;
    bool is_valid = true;
};

struct CUstream_st {
    CUcontext context;
    bool is_blocking; /* waits for the default stream, and that one for it */
    std::deque<Work> queue;
    Capture *capture = nullptr;
};

struct CUevent_st {
    CUcontext context;
    bool has_time;
    CUstream stream = nullptr; /* that it was last recorded in */
    unsigned long records = 0, reached = 0;
    double milliseconds = 0;
    bool is_captured = false;
};

struct CUmod_st {
    CUcontext context;
    void *library;
    std::map<std::string, CUfunction> functions;
};

struct CUfunc_st {
    CUmodule module;
    std::string name;
    tg_shim_entry entry;
    int most_dynamic_shared = 48 << 10;
};

struct CUctx_st {
    CUdevice device;
    CUresult fault = CUDA_SUCCESS; /* stays */
};

struct Allocation {
    size_t bytes;
    CUcontext context;
};

struct Device {
    size_t memory = size_t(8) << 30, used = 0;
    CUcontext primary = nullptr;
    int retained = 0;
};

struct Failure {
    int after;
    CUresult status;
};

struct State {
    std::recursive_mutex lock;
    int process = 0; /* that has called cuInit; a child of it may not call anything */
    bool is_late = true;
    uint64_t order = 0;
    std::vector<Device> devices;
    std::map<uintptr_t, Allocation> device_memory, pinned;
    std::set<CUcontext> contexts;
    std::set<CUstream> streams;
    std::set<CUevent> events;
    std::set<CUmodule> modules;
    std::set<CUgraph> graphs;
    std::set<CUgraphExec> executables;
    std::map<std::string, long> counts;     /* of what has happened */
    std::map<std::string, Failure> failures; /* that a test has asked for, by function */
};

extern State &state;
extern thread_local std::vector<CUcontext> context_stack;

inline CUcontext current()
{
    return context_stack.empty() ? nullptr : context_stack.back();
}

/* Why this call cannot be made at all; needs: 0 the driver alone, 1 a context too, 2 one without a fault. */
CUresult refusal(const char *function, int needs);

/* An operation that must not happen now because a stream is captured, in this thread or globally: the capture is spoilt. */
CUresult refuse_while_capturing();

/* Something that waits for the default stream's neighbours: not while one of them is captured. */
CUresult refuse_default_stream();

/* Puts work into a stream; nullptr is the default one, in which it is done at once. */
CUresult put(CUstream stream, Work work);

/* Does what a stream has; its first fault is the context's from then on. */
CUresult drain(CUstream stream);
CUresult drain_all(CUcontext context, bool only_blocking);

/* Frees all that lives in a context that is gone. */
void destroy_contents(CUcontext context);

#define FAKE_BEGIN(needs)                                                \
    std::lock_guard<std::recursive_mutex> guard(state.lock);             \
    if (CUresult refused = refusal(__func__, needs)) return refused

#define FAKE_CHECK(expression)                                           \
    if (CUresult failed = (expression)) return failed

#define FAKE_LIVES(handle, set)                                          \
    if (!state.set.count(handle)) return CUDA_ERROR_INVALID_HANDLE

#endif
