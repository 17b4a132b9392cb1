// Where this channel's messages go. The default writes warnings and errors to the standard error stream.
#ifndef EVENER_GRPC_LOG_HPP
#define EVENER_GRPC_LOG_HPP

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace evener::grpc {

// Ordered: a larger number is more talkative.
enum class LogLevel : unsigned { kError = 1, kWarning = 2, kInfo = 3, kDebug = 4 };

// Called from any thread, one message at a time. It must not block for long and must not call SetLogSink().
using LogSink = std::function<void(LogLevel, std::string_view text)>;

namespace detail {

inline void WriteToStderr(LogLevel level, std::string_view text) {
  if (level > LogLevel::kWarning) return;
  const char* name = level == LogLevel::kError ? "error" : "warning";
  std::fprintf(stderr, "evener: %s: %.*s\n", name, static_cast<int>(text.size()), text.data());
}

// Never destroyed: the threads that log live until the process ends.
struct Logger {
  std::mutex mutex;
  LogSink sink = WriteToStderr;

  static Logger& Get() {
    static auto* const logger = new Logger;
    return *logger;
  }
};

inline void Log(LogLevel level, const std::string& text) {
  auto& logger = Logger::Get();
  std::lock_guard<std::mutex> lock(logger.mutex);
  logger.sink(level, text);
}

}  // namespace detail

// Replaces the sink for the whole process. An empty function brings back the default. Any thread.
inline void SetLogSink(LogSink sink) {
  auto& logger = detail::Logger::Get();
  std::lock_guard<std::mutex> lock(logger.mutex);
  logger.sink = sink ? std::move(sink) : LogSink(detail::WriteToStderr);
}

}  // namespace evener::grpc

#endif  // EVENER_GRPC_LOG_HPP
