// One endpoint's transport: an inner gRPC channel, and the table that finds it by the engine's endpoint number.
#ifndef EVENER_GRPC_SUBCHANNEL_HPP
#define EVENER_GRPC_SUBCHANNEL_HPP

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "access.hpp"
#include "health.hpp"
#include "report.hpp"

namespace evener::grpc::detail {

// Never the same twice in a process.
inline uint64_t NewNumber() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// What a started call is put onto: an inner channel, and whose call it is there.
struct Line {
  std::shared_ptr<::grpc::Channel> channel;
  uint64_t owner = 0;  // in the CallRegistry
};

// Lives from the endpoint's Connect order to its Close, which the engine gives only after the last call on it was finished: a
// started call may use it without counting references. Its channel may be exchanged earlier (another service config, a
// Disconnect), though; see Use.
//
// Everything but the part marked "call path" belongs to the loop.
struct Subchannel {
  // Call path: any thread that has a started call.
  std::atomic<const Line*> current{nullptr};
  std::atomic<uint32_t> users{0};
  std::shared_ptr<const std::string> target;

  // Loop.
  const uint64_t id = NewNumber();
  uint32_t endpoint = 0;
  std::shared_ptr<const Line> line;       // what `current` points to
  uint64_t owner = NewNumber();           // of the calls from now on; another one after each CancelCalls order
  std::shared_ptr<::grpc::Channel> next;  // connecting, to take over; null most of the time
  std::string service_config;             // that `channel()`, or else `next`, was made with
  uint32_t reported = GRPC_CHANNEL_IDLE;  // what the engine was told last
  bool probing = false;                   // asking gRPC why the connection fails
  std::shared_ptr<HealthWatch> health;    // of the connected server; null where it is not asked for

  std::shared_ptr<::grpc::Channel> channel() const { return line ? line->channel : nullptr; }

  // The former line, of which somebody may still have a look.
  [[nodiscard]] std::shared_ptr<const Line> Install(std::shared_ptr<::grpc::Channel> replacement) {
    auto former = std::move(line);
    line = replacement ? std::make_shared<const Line>(Line{std::move(replacement), owner}) : nullptr;
    current.store(line.get());
    return former;
  }
};

// A look at the current line that keeps it from being freed: the loop frees an exchanged line when it has seen no user after
// the exchange. (Sequentially consistent on both sides: either the loop sees this user, or the user sees the exchange.)
// Held for the length of a CreateCall(), after which the call itself keeps its channel alive.
class Use {
 public:
  explicit Use(Subchannel& subchannel) : subchannel_(subchannel) {
    subchannel_.users.fetch_add(1);
    line_ = subchannel_.current.load();
  }
  ~Use() { subchannel_.users.fetch_sub(1); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  // Null unless the endpoint is connected at this moment. The engine learns of a lost connection a little after gRPC
  // does; asking once more, for the price of an atomic load, keeps calls from a connection that is known to be gone.
  const Line* ready() const {
    const bool is_ready = line_ != nullptr && line_->channel->GetState(false) == GRPC_CHANNEL_READY;
    return is_ready ? line_ : nullptr;
  }

 private:
  Subchannel& subchannel_;
  const Line* line_;
};

// Endpoint number to subchannel without a lock: chunks of atomic pointers, which are made when first needed and stay. Numbers
// are dense and reused, so that it does not grow without end.
class SubchannelTable {
 public:
  SubchannelTable() = default;
  ~SubchannelTable() {
    for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
  }
  SubchannelTable(const SubchannelTable&) = delete;
  SubchannelTable& operator=(const SubchannelTable&) = delete;

  // Any thread. Null when there is none.
  Subchannel* Find(uint32_t endpoint) const {
    if (endpoint >= kChunks * kPerChunk) return nullptr;
    const Chunk* chunk = chunks_[endpoint / kPerChunk].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : (*chunk)[endpoint % kPerChunk].load(std::memory_order_acquire);
  }

  // One thread only, the loop. False when the number is beyond all that the engine gives.
  bool Put(uint32_t endpoint, Subchannel* subchannel) {
    if (endpoint >= kChunks * kPerChunk) return false;
    auto& slot = chunks_[endpoint / kPerChunk];
    Chunk* chunk = slot.load(std::memory_order_relaxed);
    if (chunk == nullptr) {
      chunk = new Chunk{};
      slot.store(chunk, std::memory_order_release);
    }
    (*chunk)[endpoint % kPerChunk].store(subchannel, std::memory_order_release);
    return true;
  }

 private:
  static constexpr uint32_t kPerChunk = 256, kChunks = 1024;
  using Chunk = std::array<std::atomic<Subchannel*>, kPerChunk>;
  std::array<std::atomic<Chunk*>, kChunks> chunks_{};
};

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_SUBCHANNEL_HPP
