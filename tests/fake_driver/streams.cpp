/* The fake driver's streams, events and captured graphs. */
#include "state.h"

#include <chrono>

/* --- work ----------------------------------------------------------------------------------------------------------- */

CUresult drain(CUstream stream)
{
    CUcontext context = stream->context;
    while (!stream->queue.empty() && context->fault == CUDA_SUCCESS) {
        const Work work = std::move(stream->queue.front());
        stream->queue.pop_front();
        const CUresult status = work();
        if (status != CUDA_SUCCESS)
            context->fault = status;
    }
    if (context->fault != CUDA_SUCCESS)
        stream->queue.clear();
    return context->fault;
}

CUresult drain_all(CUcontext context, bool only_blocking)
{
    for (CUstream stream : state.streams)
        if (stream->context == context && (stream->is_blocking || !only_blocking) && stream->capture == nullptr)
            drain(stream);
    return context->fault;
}

CUresult refuse_while_capturing()
{
    CUresult status = CUDA_SUCCESS;
    for (CUstream stream : state.streams) {
        Capture *capture = stream->capture;
        if (capture == nullptr || capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
            continue;
        if (capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL || capture->owner == std::this_thread::get_id()) {
            capture->is_valid = false;
            status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    }
    return status;
}

CUresult refuse_default_stream()
{
    for (CUstream stream : state.streams)
        if (stream->capture != nullptr && stream->is_blocking && stream->context == current()) {
            stream->capture->is_valid = false;
            return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    return CUDA_SUCCESS;
}

CUresult put(CUstream stream, Work work)
{
    if (stream == nullptr) {
        FAKE_CHECK(refuse_default_stream());
        FAKE_CHECK(drain_all(current(), true));
        const CUresult status = work();
        if (status != CUDA_SUCCESS)
            current()->fault = status;
        return status;
    }
    FAKE_LIVES(stream, streams);
    if (stream->context != current())
        return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture != nullptr) {
        if (!stream->capture->is_valid)
            return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        stream->capture->graph->nodes.push_back(std::move(work));
        return CUDA_SUCCESS;
    }
    stream->queue.push_back(std::move(work));
    if (!state.is_late)
        drain(stream); // an error shows in a later call, as on a GPU
    return CUDA_SUCCESS;
}

void destroy_contents(CUcontext context)
{
    for (auto it = state.device_memory.begin(); it != state.device_memory.end();)
        if (it->second.context == context) {
            state.devices[size_t(context->device)].used -= it->second.bytes;
            tg_shim_free((void *)it->first);
            it = state.device_memory.erase(it);
        } else
            ++it;
    const auto forget = [context](auto &handles) {
        for (auto it = handles.begin(); it != handles.end();)
            it = (*it)->context == context ? handles.erase(it) : std::next(it);
    };
    forget(state.streams), forget(state.events), forget(state.modules), forget(state.graphs), forget(state.executables);
}

/* --- streams -------------------------------------------------------------------------------------------------------- */

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    FAKE_BEGIN(2);
    *stream = new CUstream_st{current(), !(flags & CU_STREAM_NON_BLOCKING)};
    state.streams.insert(*stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(stream, streams);
    drain(stream);
    state.streams.erase(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream)
{
    FAKE_BEGIN(2);
    if (stream == nullptr) {
        FAKE_CHECK(refuse_default_stream());
        return drain_all(current(), true);
    }
    FAKE_LIVES(stream, streams);
    if (stream->capture != nullptr) {
        stream->capture->is_valid = false;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return drain(stream);
}

CUresult cuStreamQuery(CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(stream, streams);
    return stream->queue.empty() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

/* --- events --------------------------------------------------------------------------------------------------------- */

static double now()
{
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    FAKE_BEGIN(2);
    *event = new CUevent_st{current(), !(flags & CU_EVENT_DISABLE_TIMING)};
    state.events.insert(*event);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(event, events);
    state.events.erase(event); // the object itself is leaked: work that was put into streams may know it
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(event, events);
    if (event->context != current())
        return CUDA_ERROR_INVALID_HANDLE;
    event->is_captured = stream != nullptr && stream->capture != nullptr;
    if (event->is_captured)
        return CUDA_SUCCESS;
    event->stream = stream;
    const unsigned long number = ++event->records;
    return put(stream, [event, number] {
        event->reached = number;
        event->milliseconds = now();
        return CUDA_SUCCESS;
    });
}

/* Does what lies before the event's record of that number. */
static CUresult reach(CUevent event, unsigned long number)
{
    CUstream stream = event->stream;
    while (event->reached < number && stream != nullptr && state.streams.count(stream) && !stream->queue.empty()) {
        const Work work = std::move(stream->queue.front());
        stream->queue.pop_front();
        FAKE_CHECK(work());
    }
    return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(event, events);
    if (stream != nullptr && state.streams.count(stream) && stream->capture != nullptr && !event->is_captured) {
        stream->capture->is_valid = false;
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    const unsigned long number = event->records;
    return put(stream, [event, number] { return reach(event, number); });
}

CUresult cuEventSynchronize(CUevent event)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(event, events);
    if (event->is_captured)
        return CUDA_ERROR_CAPTURED_EVENT;
    const CUresult status = reach(event, event->records);
    if (status != CUDA_SUCCESS)
        event->context->fault = status;
    return status;
}

CUresult cuEventQuery(CUevent event)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(event, events);
    return event->reached == event->records ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end)
{
    FAKE_BEGIN(2);
    for (CUevent event : {begin, end}) {
        FAKE_LIVES(event, events);
        if (event->records == 0 || !event->has_time)
            return CUDA_ERROR_INVALID_HANDLE;
        if (event->reached != event->records)
            return CUDA_ERROR_NOT_READY;
    }
    *milliseconds = float(end->milliseconds - begin->milliseconds);
    return CUDA_SUCCESS;
}

/* --- graphs --------------------------------------------------------------------------------------------------------- */

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(stream, streams); // the default stream cannot be captured
    if (stream->capture != nullptr)
        return CUDA_ERROR_ILLEGAL_STATE;
    CUgraph graph = new CUgraph_st{current(), {}};
    stream->capture = new Capture{graph, mode, std::this_thread::get_id()};
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    FAKE_BEGIN(2);
    *graph = nullptr;
    FAKE_LIVES(stream, streams);
    Capture *capture = stream->capture;
    if (capture == nullptr)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->owner != std::this_thread::get_id())
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    stream->capture = nullptr;
    if (!capture->is_valid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    *graph = capture->graph;
    state.graphs.insert(*graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(graph, graphs);
    *executable = new CUgraphExec_st{graph->context, graph->nodes};
    state.executables.insert(*executable);
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(graph, graphs);
    state.graphs.erase(graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec executable)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(executable, executables);
    drain_all(executable->context, false);
    state.executables.erase(executable);
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream)
{
    FAKE_BEGIN(2);
    FAKE_LIVES(executable, executables);
    if (executable->context != current())
        return CUDA_ERROR_INVALID_HANDLE;
    ++state.counts["graph launches"];
    return put(stream, [nodes = executable->nodes] {
        for (const Work &work : nodes)
            FAKE_CHECK(work());
        return CUDA_SUCCESS;
    });
}
