// The demo's C++ client: a bounded load through one evener channel, reported as it goes.
//
//     client CALLS_PER_SECOND WORKERS TARGET
//
// The end of standard input ends it. Standard output has one JSON object a line, several a second: what happened since
// the line before, and the channel's own description of itself.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "demo.grpc.pb.h"
#include "evener/grpc.hpp"

namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kReportEvery{250};
constexpr std::chrono::seconds kDeadline{5};

std::int64_t WallMicroseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += ' ';
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// What the calls since the last report did. Shared by all workers.
class Record {
 public:
  void Succeeded(const std::string& server, std::chrono::microseconds latency) {
    const std::lock_guard<std::mutex> lock(mutex_);
    latencies_[server].push_back(latency.count());
  }

  void Failed(const grpc::Status& status, std::int64_t started_us) {
    std::ostringstream out;
    out << "{\"code\":" << status.error_code() << ",\"message\":" << Quoted(status.error_message())
        << ",\"started_us\":" << started_us << ",\"ended_us\":" << WallMicroseconds() << "}";
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_.push_back(out.str());
  }

  // The fields of a report, without the braces around them; they begin anew.
  std::string Take() {
    std::map<std::string, std::vector<std::int64_t>> latencies;
    std::vector<std::string> failures;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      latencies.swap(latencies_);
      failures.swap(failures_);
    }
    std::ostringstream out;
    out << "\"latencies_us\":{";
    const char* between = "";
    for (const auto& [server, list] : latencies) {
      out << between << Quoted(server) << ":[";
      Join(out, list);
      out << "]";
      between = ",";
    }
    out << "},\"failures\":[";
    Join(out, failures);
    out << "]";
    return out.str();
  }

 private:
  template <typename List>
  static void Join(std::ostringstream& out, const List& list) {
    const char* between = "";
    for (const auto& item : list) {
      out << between << item;
      between = ",";
    }
  }

  std::mutex mutex_;
  std::map<std::string, std::vector<std::int64_t>> latencies_;
  std::vector<std::string> failures_;
};

// Hands out the moments at which calls are due, whoever asks.
class Pace {
 public:
  explicit Pace(double calls_per_second)
      : gap_(std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(1 / calls_per_second))),
        next_(SteadyClock::now()) {}

  void Wait() {
    SteadyClock::time_point due;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      due = std::max(next_, SteadyClock::now());
      next_ = due + gap_;
    }
    std::this_thread::sleep_until(due);
  }

 private:
  std::mutex mutex_;
  const SteadyClock::duration gap_;
  SteadyClock::time_point next_;
};

// Said once, seen by everybody, and a way to sleep until then.
class Stop {
 public:
  void Set() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      set_ = true;
    }
    changed_.notify_all();
  }

  bool WaitFor(std::chrono::milliseconds time) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

void Work(evener::demo::Demo::Stub& stub, Pace& pace, Record& record, Stop& stop) {
  while (!stop.WaitFor(std::chrono::milliseconds(0))) {
    pace.Wait();
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    evener::demo::Request request;
    evener::demo::Reply reply;
    request.set_text("hello");
    const std::int64_t started_us = WallMicroseconds();
    const auto begun = SteadyClock::now();
    const grpc::Status status = stub.Unary(&context, request, &reply);
    const auto took = SteadyClock::now() - begun;
    if (status.ok()) {
      record.Succeeded(reply.server(), std::chrono::duration_cast<std::chrono::microseconds>(took));
    } else {
      record.Failed(status, started_us);
    }
  }
}

void Report(const evener::grpc::Channel& channel, Record& record) {
  std::cout << "{" << record.Take() << ",\"channel\":" << channel.Describe() << "}" << std::endl;
}

void WaitForEndOfInput() {
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: client CALLS_PER_SECOND WORKERS TARGET\n";
    return EXIT_FAILURE;
  }
  const auto channel = evener::grpc::CreateChannel(argv[3], grpc::InsecureChannelCredentials());
  const auto stub = evener::demo::Demo::NewStub(channel);
  Record record;
  Pace pace(std::atof(argv[1]));
  Stop stop;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < std::atoi(argv[2]); ++worker) {
    threads.emplace_back([&] { Work(*stub, pace, record, stop); });
  }
  threads.emplace_back([&] {
    while (!stop.WaitFor(kReportEvery)) {
      Report(*channel, record);
    }
  });
  WaitForEndOfInput();
  stop.Set();
  for (std::thread& thread : threads) {
    thread.join();
  }
  Report(*channel, record);
  return EXIT_SUCCESS;
}
