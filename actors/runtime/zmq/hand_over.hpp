// How an object passes from one thread to another as a pointer in a message: whoever receives it owns it.
//
// ThreadSanitizer does not see libzmq's own synchronisation (the library is not instrumented), so the
// hand-over is shown to it here, and what it believes to see inside the library is suppressed (in
// inbox.cpp, for every program that links this). That leaves our own code checked for real.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DKV_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define DKV_THREAD_SANITIZER 1
#endif

#ifdef DKV_THREAD_SANITIZER
extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace dkv::runtime {

/// Before the pointer is sent.
inline void before_hand_over([[maybe_unused]] void* object) {
#ifdef DKV_THREAD_SANITIZER
  __tsan_release(object);
#endif
}

/// After it was received.
inline void after_hand_over([[maybe_unused]] void* object) {
#ifdef DKV_THREAD_SANITIZER
  __tsan_acquire(object);
#endif
}

}  // namespace dkv::runtime
