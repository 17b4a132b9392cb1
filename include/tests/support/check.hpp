// The tests' few words: a case is a function with a name; a check that fails is printed and counted; nothing waits for luck.
#ifndef EVENER_TESTS_CHECK_HPP
#define EVENER_TESTS_CHECK_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace evener_tests {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

inline std::atomic<int>& Failures() {
  static std::atomic<int> failures{0};
  return failures;
}

struct Registration {
  Registration(const char* name, void (*run)()) { Cases().push_back({name, run}); }
};

// What a thread is busy with; printed with its failures.
inline std::string& Context() {
  static thread_local std::string context;
  return context;
}

inline void Fail(const char* file, int line, const std::string& text) {
  ++Failures();
  std::fprintf(stderr, "%s:%d: [%s] %s\n", file, line, Context().c_str(), text.c_str());
}

template <class A, class B>
void CheckEqual(const A& a, const B& b, const char* what, const char* file, int line) {
  if (a == b) return;
  std::ostringstream text;
  text << what << ": " << a << " is not " << b;
  Fail(file, line, text.str());
}

// Long enough for a busy machine under a sanitizer; only a test that fails takes it.
constexpr std::chrono::seconds kPatience{40};

// True as soon as the condition holds.
template <class Condition>
bool Eventually(Condition condition, std::chrono::milliseconds patience = kPatience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Opened once, by any thread.
class Latch {
 public:
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (changed_.wait_for(lock, kPatience, [this] { return open_; })) return;
    std::fprintf(stderr, "[%s] waited in vain\n", Context().c_str());
    std::abort();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

}  // namespace evener_tests

#define TEST_CASE(name)                                                       \
  static void name();                                                         \
  static const ::evener_tests::Registration name##_registration(#name, name); \
  static void name()

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) ::evener_tests::Fail(__FILE__, __LINE__, #condition);  \
  } while (false)

#define CHECK_EQUAL(a, b) ::evener_tests::CheckEqual((a), (b), #a, __FILE__, __LINE__)

#endif  // EVENER_TESTS_CHECK_HPP
