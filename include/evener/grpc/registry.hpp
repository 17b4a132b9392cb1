// The memory of per-call objects, and at once the register of running calls that a drain cancels from.
//
// Why not a list with a mutex: starting and ending a call takes no lock. Why not plain new: the call path allocates nothing of
// ours. So the objects lie in records that are never given back to the system, only to a free list (one of a few, by thread):
// whoever sweeps over all records may read any of them at any time. Their number is the largest number of calls that were
// ever open at once.
//
// A record's state word is a sequence number and one of
//
//   free ──Link()──► linked ──Unlink()──► free, sequence + 1
//                    │    ▲
//                Cancel()  (a few instructions, by a sweep of the draining endpoint only)
//                    ▼    │
//                    pinned
//
// A sweep that has pinned a record knows, by the sequence number, that the owner it read before is the record's owner now, and
// takes a reference to the call; the cancelling itself happens after unpinning. Unlink() waits while its own record is
// pinned; that is the only wait, and it lasts as long as taking a reference.
#ifndef EVENER_GRPC_REGISTRY_HPP
#define EVENER_GRPC_REGISTRY_HPP

#include <grpc/grpc.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <thread>

namespace evener::grpc::detail {

class CallRegistry {
 public:
  // Room for one per-call object.
  static constexpr size_t kObjectBytes = 192;

  struct Record {
    std::atomic<uint64_t> state{0};
    std::atomic<uint64_t> owner{0};
    std::atomic<uint32_t> next{0};
    uint32_t number = 0;
    uint32_t shard = 0;
    grpc_call* call = nullptr;  // written while free, read while pinned
    alignas(std::max_align_t) unsigned char object[kObjectBytes];
  };

  static CallRegistry& Get() {
    static auto* const registry = new CallRegistry;
    return *registry;
  }

  void* Allocate() {
    auto& shard = shards_[ShardOfThisThread()];
    Record* record = shard.Pop();
    if (record == nullptr) record = shard.Grow(static_cast<uint32_t>(&shard - shards_.data()));
    return record->object;
  }

  void Free(void* object) {
    Record& record = RecordOf(object);
    shards_[record.shard].Push(record);
  }

  // From now until Unlink(), Cancel(owner, ...) cancels this call. Holds a reference to it.
  void Link(void* object, grpc_call* call, uint64_t owner) {
    Record& record = RecordOf(object);
    grpc_call_ref(call);
    record.call = call;
    record.owner.store(owner, std::memory_order_relaxed);
    const auto state = record.state.load(std::memory_order_relaxed);
    record.state.store(state | kLinked, std::memory_order_release);
  }

  // Does nothing to an object that is not linked.
  void Unlink(void* object) {
    Record& record = RecordOf(object);
    auto state = record.state.load(std::memory_order_relaxed);
    if ((state & kMask) == kFree) return;
    const auto linked = (state & ~kMask) | kLinked;
    for (state = linked; !record.state.compare_exchange_weak(state, (linked & ~kMask) + kStep,
                                                             std::memory_order_acq_rel);
         state = linked) {
      std::this_thread::yield();
    }
    grpc_call_unref(record.call);
  }

  // Ends all linked calls of this owner with that status. Any thread; calls linked meanwhile may be missed.
  void Cancel(uint64_t owner, grpc_status_code code, const char* text) {
    for (auto& shard : shards_) {
      const auto size = shard.size.load(std::memory_order_acquire);
      for (uint32_t number = 1; number <= size; ++number) {
        grpc_call* call = ReferenceIfOwned(shard.At(number), owner);
        if (call == nullptr) continue;
        grpc_call_cancel_with_status(call, code, text, nullptr);
        grpc_call_unref(call);
      }
    }
  }

 private:
  static constexpr uint64_t kMask = 3, kFree = 0, kLinked = 1, kPinned = 2, kStep = 4;
  static constexpr uint32_t kShards = 8, kFirstChunk = 64, kChunks = 24;

  // A free list of numbered records (0 = none) in chunks that double in size. The head carries a counter beside the number,
  // so that a record which was taken and given back in between is not mistaken for an unchanged list.
  struct alignas(64) Shard {
    std::atomic<uint64_t> head{0};
    std::atomic<uint32_t> size{0};
    std::array<std::atomic<Record*>, kChunks> chunks{};
    std::mutex growing;

    Record& At(uint32_t number) {
      uint32_t index = number - 1, chunk = 0, length = kFirstChunk;
      while (index >= length) {
        index -= length;
        length *= 2;
        ++chunk;
      }
      return chunks[chunk].load(std::memory_order_acquire)[index];
    }

    Record* Pop() {
      auto old = head.load(std::memory_order_acquire);
      for (;;) {
        const auto number = static_cast<uint32_t>(old);
        if (number == 0) return nullptr;
        Record& record = At(number);
        const auto next = record.next.load(std::memory_order_relaxed);
        if (head.compare_exchange_weak(old, Head(old, next), std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
          return &record;
        }
      }
    }

    void Push(Record& record) {
      auto old = head.load(std::memory_order_relaxed);
      do {
        record.next.store(static_cast<uint32_t>(old), std::memory_order_relaxed);
      } while (!head.compare_exchange_weak(old, Head(old, record.number), std::memory_order_acq_rel,
                                           std::memory_order_relaxed));
    }

    static uint64_t Head(uint64_t old, uint32_t number) {
      return ((old >> 32) + 1) << 32 | number;
    }

    // More calls are open than ever before: a new chunk, of which one record is the caller's.
    Record* Grow(uint32_t shard) {
      std::lock_guard<std::mutex> lock(growing);
      if (Record* record = Pop()) return record;
      const auto first = size.load(std::memory_order_relaxed);
      uint32_t chunk = 0, length = kFirstChunk;
      for (uint32_t before = first; before >= length; ++chunk, length *= 2) before -= length;
      if (chunk == kChunks) throw std::bad_alloc();
      auto* records = new Record[length];
      for (uint32_t i = 0; i < length; ++i) {
        records[i].number = first + 1 + i;
        records[i].shard = shard;
      }
      chunks[chunk].store(records, std::memory_order_release);
      size.store(first + length, std::memory_order_release);
      for (uint32_t i = 1; i < length; ++i) Push(records[i]);
      return &records[0];
    }
  };

  static Record& RecordOf(void* object) {
    return *reinterpret_cast<Record*>(static_cast<unsigned char*>(object) - offsetof(Record, object));
  }

  static grpc_call* ReferenceIfOwned(Record& record, uint64_t owner) {
    auto state = record.state.load(std::memory_order_acquire);
    if ((state & kMask) != kLinked) return nullptr;
    if (record.owner.load(std::memory_order_relaxed) != owner) return nullptr;
    const auto pinned = (state & ~kMask) | kPinned;
    if (!record.state.compare_exchange_strong(state, pinned, std::memory_order_acquire)) return nullptr;
    grpc_call* call = record.call;
    grpc_call_ref(call);
    record.state.store((pinned & ~kMask) | kLinked, std::memory_order_release);
    return call;
  }

  uint32_t ShardOfThisThread() {
    static std::atomic<uint32_t> threads{0};
    static thread_local const uint32_t shard = threads.fetch_add(1, std::memory_order_relaxed) % kShards;
    return shard;
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_REGISTRY_HPP
