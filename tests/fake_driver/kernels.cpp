/* The fake driver's modules, launches and errors, and what tests ask of it. */
#include "state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, MOST_SHARED = 227 << 10, MOST_PARAMETERS = 4096 };

/* --- modules -------------------------------------------------------------------------------------------------------- */

/* The length of an ELF file that ends with its section headers, as linkers write them. */
static size_t length_of(const Elf64_Ehdr *header)
{
    return size_t(header->e_shoff) + size_t(header->e_shnum) * header->e_shentsize;
}

static CUresult load(const void *image, void **library)
{
    if (memcmp(image, ELFMAG, SELFMAG) != 0)
        return CUDA_ERROR_INVALID_IMAGE;
    char path[] = "/tmp/fake-cuda-XXXXXX";
    const int file = mkstemp(path);
    if (file < 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    const size_t bytes = length_of((const Elf64_Ehdr *)image);
    const bool is_written = write(file, image, bytes) == ssize_t(bytes);
    close(file);
    *library = is_written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    unlink(path);
    if (*library == nullptr || dlsym(*library, "tg_shim_module") == nullptr)
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(refuse_while_capturing());
    void *library;
    FAKE_CHECK(load(image, &library));
    *module = new CUmod_st{current(), library, {}};
    state.modules.insert(*module);
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int, CUjit_option *, void **)
{
    return cuModuleLoadData(module, image);
}

CUresult cuModuleUnload(CUmodule module)
{
    FAKE_BEGIN(2);
    FAKE_CHECK(refuse_while_capturing());
    FAKE_LIVES(module, modules);
    const CUresult status = drain_all(module->context, false);
    state.modules.erase(module); // the object itself is leaked: captured launches may know it
    dlclose(module->library);
    return status;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(module, modules);
    const auto entry = (tg_shim_entry)dlsym(module->library, (std::string("tg_shim_entry_") + name).c_str());
    if (entry == nullptr)
        return CUDA_ERROR_NOT_FOUND;
    CUfunction &known = module->functions[name];
    if (known == nullptr)
        known = new CUfunc_st{module, name, entry};
    *function = known;
    return CUDA_SUCCESS;
}

CUresult cuFuncSetBlockShape(CUfunction, int, int, int)
{
    FAKE_BEGIN(2);
    return CUDA_SUCCESS; // cuLaunchKernel says it again
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
    FAKE_BEGIN(2);
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > MOST_SHARED)
        return CUDA_ERROR_INVALID_VALUE;
    function->most_dynamic_shared = value;
    return CUDA_SUCCESS;
}

/* --- launches ------------------------------------------------------------------------------------------------------- */

static CUresult run(CUfunction function, uint3 grid, uint3 block, unsigned shared, const std::string &parameters)
{
    if (!state.modules.count(function->module))
        return CUDA_ERROR_ILLEGAL_ADDRESS; // a graph that outlives the code it launches
    const auto *module = (const tg_shim_module_info *)dlsym(function->module->library, "tg_shim_module");
    const tg_shim_launch_info launch = {
        function->entry, module, function->name.c_str(), (const unsigned char *)parameters.data(), grid, block, shared, state.order,
    };
    const char *fault = tg_shim_launch(&launch);
    if (fault == nullptr)
        return CUDA_SUCCESS;
    if (getenv("FAKE_CUDA_QUIET") == nullptr)
        fprintf(stderr, "fake CUDA: %s\n", fault);
    return CUDA_ERROR_LAUNCH_FAILED;
}

/* The parameters come as one buffer, in `extra`. */
static CUresult parameters_of(void **extra, std::string *parameters)
{
    const void *buffer = nullptr;
    size_t bytes = 0;
    for (; extra != nullptr && *extra != CU_LAUNCH_PARAM_END; extra += 2)
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
        else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
            bytes = *(const size_t *)extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    if (buffer == nullptr || bytes == 0 || bytes > MOST_PARAMETERS)
        return CUDA_ERROR_INVALID_VALUE;
    parameters->assign((const char *)buffer, bytes);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                        unsigned block_z, unsigned shared, CUstream stream, void **given, void **extra)
{
    FAKE_BEGIN(2);
    if (!state.modules.count(function->module) || function->module->context != current())
        return CUDA_ERROR_INVALID_HANDLE;
    const uint3 grid = {grid_x, grid_y, grid_z}, block = {block_x, block_y, block_z};
    const uint64_t threads = uint64_t(block_x) * block_y * block_z;
    if (threads == 0 || threads > MOST_THREADS || grid_x == 0 || grid_x > INT32_MAX || grid_y == 0 || grid_y > UINT16_MAX ||
        grid_z == 0 || grid_z > UINT16_MAX || shared > unsigned(function->most_dynamic_shared) || given != nullptr)
        return CUDA_ERROR_INVALID_VALUE;
    std::string parameters;
    FAKE_CHECK(parameters_of(extra, &parameters));
    ++state.counts["launches"];
    return put(stream, [=] { return run(function, grid, block, shared, parameters); });
}

/* --- errors --------------------------------------------------------------------------------------------------------- */

struct Text {
    const char *name, *words;
};

static const std::map<int, Text> texts = {
#define FAKE_TEXT(name, words) {name, {#name, words}}
    FAKE_TEXT(CUDA_SUCCESS, "no error"),
    FAKE_TEXT(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    FAKE_TEXT(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    FAKE_TEXT(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    FAKE_TEXT(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    FAKE_TEXT(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    FAKE_TEXT(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    FAKE_TEXT(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    FAKE_TEXT(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"),
    FAKE_TEXT(CUDA_ERROR_OPERATING_SYSTEM, "OS call failed"),
    FAKE_TEXT(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    FAKE_TEXT(CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state"),
    FAKE_TEXT(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    FAKE_TEXT(CUDA_ERROR_NOT_READY, "device not ready"),
    FAKE_TEXT(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    FAKE_TEXT(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"),
    FAKE_TEXT(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    FAKE_TEXT(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    FAKE_TEXT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"),
    FAKE_TEXT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"),
    FAKE_TEXT(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream"),
    FAKE_TEXT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "operation would make the legacy stream depend on a capturing blocking stream"),
    FAKE_TEXT(CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream"),
    FAKE_TEXT(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "attempt to terminate a thread-local capture sequence from another thread"),
#undef FAKE_TEXT
};

static const Text &text_of(CUresult status)
{
    static const Text unknown = {"CUDA_ERROR_UNKNOWN", "unknown error"};
    auto found = texts.find(status);
    return found == texts.end() ? unknown : found->second;
}

CUresult cuGetErrorString(CUresult status, const char **text)
{
    *text = text_of(status).words;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult status, const char **text)
{
    *text = text_of(status).name;
    return CUDA_SUCCESS;
}

/* --- for tests ------------------------------------------------------------------------------------------------------ */

/* How many of these there are now, or have happened. */
extern "C" long fake_cuda_count(const char *what)
{
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    const std::map<std::string, size_t> present = {
        {"memory", state.device_memory.size()}, {"pinned", state.pinned.size()},           {"streams", state.streams.size()},
        {"events", state.events.size()},        {"modules", state.modules.size()},         {"graphs", state.graphs.size()},
        {"contexts", state.contexts.size()},    {"executables", state.executables.size()}, {"stack", context_stack.size()},
    };
    auto found = present.find(what);
    return found == present.end() ? state.counts[what] : long(found->second);
}

/* The call of a function that comes after so many of them fails with this status. */
extern "C" void fake_cuda_fail(const char *function, int after, int status)
{
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.failures[function] = {after, CUresult(status)};
}

/* From now on streams do their work late, or at once. */
extern "C" void fake_cuda_late(int is_late)
{
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.is_late = is_late != 0;
}

/* The memory that a device has from now on. */
extern "C" void fake_cuda_limit(int device, size_t bytes)
{
    std::lock_guard<std::recursive_mutex> guard(state.lock);
    state.devices[size_t(device)].memory = bytes;
}
