/* The fake driver's devices, contexts and memory. */
#include "state.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

State &state = *new State; // never destroyed: the last calls come late
thread_local std::vector<CUcontext> context_stack;

CUresult refusal(const char *function, int needs)
{
    if (state.process == 0 || state.process != getpid())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (needs >= 1 && current() == nullptr)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (needs >= 1 && !state.contexts.count(current()))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (needs >= 2 && current()->fault != CUDA_SUCCESS)
        return current()->fault;
    auto wanted = state.failures.find(function);
    if (wanted == state.failures.end() || --wanted->second.after >= 0)
        return CUDA_SUCCESS;
    const CUresult status = wanted->second.status;
    state.failures.erase(wanted);
    if (needs >= 1 && status >= CUDA_ERROR_ILLEGAL_ADDRESS && status <= CUDA_ERROR_LAUNCH_FAILED)
        current()->fault = status;
    return status;
}

static CUresult device_at(CUdevice number, Device **device)
{
    if (number < 0 || size_t(number) >= state.devices.size())
        return CUDA_ERROR_INVALID_DEVICE;
    *device = &state.devices[size_t(number)];
    return CUDA_SUCCESS;
}

/* --- devices -------------------------------------------------------------------------------------------------------- */

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == nullptr || *text == 0 ? otherwise : atol(text);
}

CUresult cuInit(unsigned int)
{
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    if (state.process != 0)
        return state.process == getpid() ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
    const long count = setting("FAKE_CUDA_DEVICES", 1);
    if (count == 0)
        return CUDA_ERROR_NO_DEVICE;
    state.process = getpid();
    state.devices.resize(size_t(count));
    const char *order = getenv("TFGRAPH_SHIM_ORDER");
    state.order = order == nullptr || strcmp(order, "forward") == 0 ? 0 : strcmp(order, "backward") == 0 ? 1 : strtoul(order, nullptr, 10) + 2;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version)
{
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    FAKE_BEGIN(0);
    *count = int(state.devices.size());
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    FAKE_BEGIN(0);
    Device *found;
    *device = ordinal;
    return device_at(ordinal, &found);
}

CUresult cuDeviceGetName(char *name, int room, CUdevice number)
{
    FAKE_BEGIN(0);
    Device *device;
    FAKE_CHECK(device_at(number, &device));
    snprintf(name, size_t(room), "fake GPU %d", number);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice number)
{
    FAKE_BEGIN(0);
    Device *device;
    FAKE_CHECK(device_at(number, &device));
    *bytes = device->memory;
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice number)
{
    FAKE_BEGIN(0);
    Device *device;
    FAKE_CHECK(device_at(number, &device));
    *major = 8, *minor = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice number)
{
    static const std::map<int, int> known = {
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
        {CU_DEVICE_ATTRIBUTE_WARP_SIZE, TG_SHIM_WARP},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 227 << 10},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 8},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
    };
    FAKE_BEGIN(0);
    Device *device;
    FAKE_CHECK(device_at(number, &device));
    auto found = known.find(attribute);
    if (found == known.end())
        return CUDA_ERROR_INVALID_VALUE;
    *value = found->second;
    return CUDA_SUCCESS;
}

/* --- contexts ------------------------------------------------------------------------------------------------------- */

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice number)
{
    FAKE_BEGIN(0);
    Device *device;
    FAKE_CHECK(device_at(number, &device));
    if (device->retained++ == 0) {
        device->primary = new CUctx_st{number};
        state.contexts.insert(device->primary);
    }
    *context = device->primary;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice number)
{
    FAKE_BEGIN(0);
    Device *device;
    FAKE_CHECK(device_at(number, &device));
    if (device->retained == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (--device->retained > 0)
        return CUDA_SUCCESS;
    drain_all(device->primary, false);
    destroy_contents(device->primary);
    state.contexts.erase(device->primary); // the object itself is leaked: stacks of other threads may have it
    device->primary = nullptr;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate(CUcontext *, CUctxCreateParams *, unsigned int, CUdevice)
{
    return CUDA_ERROR_NOT_SUPPORTED; // a context of its own would share nothing with other users of the device
}

CUresult cuCtxPushCurrent(CUcontext context)
{
    FAKE_BEGIN(0);
    if (!state.contexts.count(context))
        return CUDA_ERROR_INVALID_CONTEXT;
    context_stack.push_back(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *context)
{
    FAKE_BEGIN(0);
    if (context_stack.empty())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (context != nullptr)
        *context = context_stack.back();
    context_stack.pop_back();
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    FAKE_BEGIN(1);
    *device = current()->device;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
    FAKE_BEGIN(2);
    for (CUstream stream : state.streams) // of whatever thread
        if (stream->context == current() && stream->capture != nullptr) {
            stream->capture->is_valid = false;
            return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    return drain_all(current(), false);
}

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* The allocation in which all of these bytes lie. */
static const Allocation *allocation_of(const std::map<uintptr_t, Allocation> &memory, uintptr_t address, size_t bytes)
{
    auto after = memory.upper_bound(address);
    if (after == memory.begin())
        return nullptr;
    const auto &found = *std::prev(after);
    return address - found.first + bytes <= found.second.bytes ? &found.second : nullptr;
}

static CUresult check_device_memory(CUdeviceptr address, size_t bytes)
{
    const Allocation *found = allocation_of(state.device_memory, address, bytes);
    return found != nullptr && found->context == current() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult check_host_memory(const void *address)
{
    const bool is_device = allocation_of(state.device_memory, uintptr_t(address), 1) != nullptr;
    return address == nullptr || is_device ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemGetInfo(size_t *unused, size_t *all)
{
    FAKE_BEGIN(2);
    const Device &device = state.devices[size_t(current()->device)];
    *all = device.memory;
    *unused = device.memory - device.used;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(refuse_while_capturing());
    Device &device = state.devices[size_t(current()->device)];
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    void *memory = bytes > device.memory - device.used ? nullptr : tg_shim_allocate(bytes);
    if (memory == nullptr)
        return CUDA_ERROR_OUT_OF_MEMORY;
    device.used += bytes;
    *address = CUdeviceptr(memory);
    state.device_memory[*address] = {bytes, current()};
    return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr address)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(refuse_while_capturing());
    auto found = state.device_memory.find(address);
    if (found == state.device_memory.end())
        return CUDA_ERROR_INVALID_VALUE;
    const CUresult status = drain_all(found->second.context, false);
    state.devices[size_t(found->second.context->device)].used -= found->second.bytes;
    state.device_memory.erase(found);
    tg_shim_free((void *)address);
    return status;
}

CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned int)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(refuse_while_capturing());
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (posix_memalign(address, 4096, bytes) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memset(*address, 255, bytes);
    state.pinned[uintptr_t(*address)] = {bytes, current()};
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *address)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(refuse_while_capturing());
    auto found = state.pinned.find(uintptr_t(address));
    if (found == state.pinned.end())
        return CUDA_ERROR_INVALID_VALUE;
    const CUresult status = drain_all(found->second.context, false);
    state.pinned.erase(found);
    free(address);
    return status;
}

/* --- copies --------------------------------------------------------------------------------------------------------- */

static CUresult copy_now(void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    return CUDA_SUCCESS;
}

/* The memory must still be there when the copy is made: a captured one is made often. */
static CUresult copy_between(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    const bool has_both = allocation_of(state.device_memory, to, bytes) && allocation_of(state.device_memory, from, bytes);
    return has_both ? copy_now((void *)to, (void *)from, bytes) : CUDA_ERROR_ILLEGAL_ADDRESS;
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(check_device_memory(to, bytes));
    FAKE_CHECK(check_host_memory(from));
    return put(nullptr, [=] { return copy_now((void *)to, from, bytes); });
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(check_device_memory(from, bytes));
    FAKE_CHECK(check_host_memory(to));
    return put(nullptr, [=] { return copy_now(to, (void *)from, bytes); });
}

CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(check_device_memory(from, bytes));
    FAKE_CHECK(check_device_memory(to, bytes));
    return put(nullptr, [=] { return copy_between(to, from, bytes); });
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(check_device_memory(from, bytes));
    FAKE_CHECK(check_device_memory(to, bytes));
    return put(stream, [=] { return copy_between(to, from, bytes); });
}

/* Of memory that is not pinned a copy is made before the call returns; it cannot be captured. */
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(check_device_memory(to, bytes));
    FAKE_CHECK(check_host_memory(from));
    if (allocation_of(state.pinned, uintptr_t(from), bytes))
        return put(stream, [=] {
            const bool has_both = allocation_of(state.device_memory, to, bytes) && allocation_of(state.pinned, uintptr_t(from), bytes);
            return has_both ? copy_now((void *)to, from, bytes) : CUDA_ERROR_ILLEGAL_ADDRESS;
        });
    if (stream != nullptr && stream->capture != nullptr)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    ++state.counts["pageable copies"];
    const std::string bytes_then((const char *)from, bytes);
    return put(stream, [=] {
        const bool is_there = allocation_of(state.device_memory, to, bytes) != nullptr;
        return is_there ? copy_now((void *)to, bytes_then.data(), bytes) : CUDA_ERROR_ILLEGAL_ADDRESS;
    });
}

/* Into memory that is not pinned the copy is made before the call returns; it cannot be captured. */
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(check_device_memory(from, bytes));
    FAKE_CHECK(check_host_memory(to));
    if (allocation_of(state.pinned, uintptr_t(to), bytes))
        return put(stream, [=] {
            const bool has_both = allocation_of(state.device_memory, from, bytes) && allocation_of(state.pinned, uintptr_t(to), bytes);
            return has_both ? copy_now(to, (void *)from, bytes) : CUDA_ERROR_ILLEGAL_ADDRESS;
        });
    if (stream != nullptr && stream->capture != nullptr)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    ++state.counts["pageable copies"];
    FAKE_CHECK(put(stream, [=] { return copy_now(to, (void *)from, bytes); }));
    return stream == nullptr ? CUDA_SUCCESS : drain(stream);
}
