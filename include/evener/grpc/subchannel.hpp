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

// Lives from the endpoint's Connect order to its Close, which the engine gives only after the last call on it was finished: a
// started call may use it without counting references. Its channel may be exchanged earlier (another service config, a
// Disconnect), though; see Use.
//
// Everything but the part marked "call path" belongs to the loop.
struct Subchannel {
  // Call path: any thread that has a started call.
  std::atomic<::grpc::Channel*> current{nullptr};
  std::atomic<uint32_t> users{0};
  std::shared_ptr<const std::string> target;
  uint64_t id = 0;  // never used twice in a process; the owner of its calls in the CallRegistry

  // Loop.
  uint32_t endpoint = 0;
  std::shared_ptr<::grpc::Channel> channel;  // the owner of `current`
  std::shared_ptr<::grpc::Channel> next;     // connecting, to take over; null most of the time
  std::string service_config;                // that `channel`, or else `next`, was made with
  uint32_t reported = GRPC_CHANNEL_IDLE;     // what the engine was told last
  bool probing = false;                      // asking gRPC why the connection fails
  std::shared_ptr<HealthWatch> health;       // of the connected server; null where it is not asked for

  void Install(std::shared_ptr<::grpc::Channel> replacement) {
    channel = std::move(replacement);
    current.store(channel.get());
  }
};

// A look at the current channel that keeps it from being freed: the loop frees an exchanged channel when it has seen no user after
// the exchange. (Sequentially consistent on both sides: either the loop sees this user, or the user sees the exchange.)
// Held for the length of a CreateCall(), after which the call itself keeps its channel alive.
class Use {
 public:
  explicit Use(Subchannel& subchannel) : subchannel_(subchannel) {
    subchannel_.users.fetch_add(1);
    channel_ = subchannel_.current.load();
  }
  ~Use() { subchannel_.users.fetch_sub(1); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  // Null unless the endpoint is connected at this moment. The engine learns of a lost connection a little after gRPC
  // does; asking once more, for the price of an atomic load, keeps calls from a connection that is known to be gone.
  ::grpc::Channel* ready() const {
    const bool is_ready = channel_ != nullptr && channel_->GetState(false) == GRPC_CHANNEL_READY;
    return is_ready ? channel_ : nullptr;
  }

 private:
  Subchannel& subchannel_;
  ::grpc::Channel* channel_;
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
