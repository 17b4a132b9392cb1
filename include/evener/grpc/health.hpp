// Asks one server for its health over its own connection, as gRFC A17 says: a stream of grpc.health.v1.Health/Watch.
//
// Why not gRPC's own, inside the inner channel: there a call that was picked a moment before the server's word came fails with
// "backend unhealthy"; here the connection stays usable, so that such a call reaches the server, which still answers it. gRPC 1.51
// also opens another connection whenever the config switches health checks on or off, and its pick_first makes none.
#ifndef EVENER_GRPC_HEALTH_HPP
#define EVENER_GRPC_HEALTH_HPP

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "driver.hpp"
#include "log.hpp"

namespace evener::grpc::detail {

// HealthCheckRequest: field 1, a string.
inline std::string EncodeHealthRequest(std::string_view service) {
  std::string bytes = "\x0a";
  size_t length = service.size();
  for (; length >= 0x80; length >>= 7) bytes += static_cast<char>(0x80 | (length & 0x7f));
  return bytes.append(1, static_cast<char>(length)).append(service);
}

// HealthCheckResponse: field 1, a number, 0 unless given; 1 is SERVING. Nothing: these bytes are no message.
class HealthResponse {
 public:
  static std::optional<uint64_t> Decode(std::string_view bytes) {
    HealthResponse reader(bytes);
    uint64_t status = 0;
    while (!reader.bytes_.empty()) {
      const auto key = reader.Number();
      const auto value = key ? reader.Field(*key & 7) : std::nullopt;
      if (!value) return std::nullopt;
      if (*key == (1 << 3)) status = *value;
    }
    return status;
  }

 private:
  explicit HealthResponse(std::string_view bytes) : bytes_(bytes) {}

  std::optional<uint64_t> Number() {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      number |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return number;
    }
    return std::nullopt;
  }

  // The value of a number; 0 for fields of other kinds, which are stepped over.
  std::optional<uint64_t> Field(uint64_t kind) {
    if (kind == 0) return Number();
    const auto length = kind == 1 ? std::optional<uint64_t>(8) : kind == 5 ? 4 : kind == 2 ? Number() : std::nullopt;
    if (!length || *length > bytes_.size()) return std::nullopt;
    bytes_.remove_prefix(static_cast<size_t>(*length));
    return 0;
  }

  std::string_view bytes_;
};

// Used on the loop only. Destroying it ends the stream.
class HealthWatch final : public std::enable_shared_from_this<HealthWatch> {
 public:
  // kUnknown: the server has not answered yet.
  enum class Health { kUnknown, kServing, kNotServing };

  // `changed` is called on the loop whenever health() has become another. `initial` holds until the server's first answer.
  static std::shared_ptr<HealthWatch> Begin(std::shared_ptr<::grpc::Channel> channel, std::string service, Health initial,
                                            std::function<void()> changed) {
    std::shared_ptr<HealthWatch> watch(new HealthWatch(std::move(channel), std::move(service), initial, std::move(changed)));
    watch->Start();
    return watch;
  }

  ~HealthWatch() {
    if (stream_) stream_->context.TryCancel();
    if (timer_) timer_->Cancel();
  }
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  const std::string& service() const { return service_; }
  Health health() const { return health_; }
  // Why it is not serving.
  const std::string& reason() const { return reason_; }

 private:
  // One call; lives until its last tag has come, whether anybody still wants to know or not.
  struct Stream {
    explicit Stream(const std::shared_ptr<::grpc::Channel>& channel) : stub(channel) {}
    ::grpc::ClientContext context;
    ::grpc::GenericStub stub;
    std::unique_ptr<::grpc::GenericClientAsyncReaderWriter> call;
    ::grpc::ByteBuffer message;
    ::grpc::Status status;
  };
  using Step = void (*)(const std::shared_ptr<Stream>&, const std::weak_ptr<HealthWatch>&, bool ok);

  HealthWatch(std::shared_ptr<::grpc::Channel> channel, std::string service, Health initial, std::function<void()> changed)
      : channel_(std::move(channel)), service_(std::move(service)), changed_(std::move(changed)), health_(initial) {}

  void Start() {
    stream_ = std::make_shared<Stream>(channel_);
    stream_->call = stream_->stub.PrepareCall(&stream_->context, "/grpc.health.v1.Health/Watch", Driver::Get().queue());
    const ::grpc::Slice request(EncodeHealthRequest(service_));
    stream_->message = ::grpc::ByteBuffer(&request, 1);
    stream_->call->StartCall(Then(stream_, weak_from_this(), Started));
  }

  static void* Then(const std::shared_ptr<Stream>& stream, const std::weak_ptr<HealthWatch>& watch, Step step) {
    return Driver::Tag([stream, watch, step](bool ok) { step(stream, watch, ok); });
  }

  static void Started(const std::shared_ptr<Stream>& stream, const std::weak_ptr<HealthWatch>& watch, bool ok) {
    if (!ok) return Finish(stream, watch);
    stream->call->WriteLast(stream->message, ::grpc::WriteOptions(), Then(stream, watch, Asked));
  }

  static void Asked(const std::shared_ptr<Stream>& stream, const std::weak_ptr<HealthWatch>& watch, bool ok) {
    if (!ok) return Finish(stream, watch);
    stream->call->Read(&stream->message, Then(stream, watch, Answered));
  }

  static void Answered(const std::shared_ptr<Stream>& stream, const std::weak_ptr<HealthWatch>& watch, bool ok) {
    if (!ok) return Finish(stream, watch);
    const auto alive = watch.lock();
    if (alive && alive->stream_ == stream) alive->Take(stream->message);
    stream->call->Read(&stream->message, Then(stream, watch, Answered));
  }

  static void Finish(const std::shared_ptr<Stream>& stream, const std::weak_ptr<HealthWatch>& watch) {
    stream->call->Finish(&stream->status, Then(stream, watch, Ended));
  }

  static void Ended(const std::shared_ptr<Stream>& stream, const std::weak_ptr<HealthWatch>& watch, bool) {
    const auto alive = watch.lock();
    if (alive && alive->stream_ == stream) alive->End(stream->status);
  }

  void Take(const ::grpc::ByteBuffer& message) {
    failures_ = 0;
    std::vector<::grpc::Slice> slices;
    std::string bytes;
    if (message.Dump(&slices).ok()) {
      for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    if (HealthResponse::Decode(bytes) == kServingStatus) return Become(Health::kServing, {});
    Become(Health::kNotServing, "the server says that it does not serve \"" + service_ + "\"");
  }

  void End(const ::grpc::Status& status) {
    if (status.error_code() == ::grpc::StatusCode::UNIMPLEMENTED) {
      Log(LogLevel::kWarning, "a server has no service grpc.health.v1.Health: it counts as healthy");
      return Become(Health::kServing, {});
    }
    timer_ = Driver::Get().At(After(Backoff()), [weak = weak_from_this()](bool passed) {
      const auto alive = weak.lock();
      if (alive && passed) alive->Start();
    });
    Become(Health::kNotServing, "the server's health cannot be watched: " + status.error_message());
  }

  void Become(Health health, std::string reason) {
    reason_ = std::move(reason);
    if (std::exchange(health_, health) == health) return;
    changed_();  // may end this object's owner, but not this object: the caller holds it
  }

  static gpr_timespec After(int64_t ms) {
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
  }

  // gRPC's connection backoff: 1 s, times 1.6 each, at most 2 min, plus or minus a fifth.
  int64_t Backoff() {
    double ms = 1000;
    for (int i = 0; i < failures_ && ms < 120'000; ++i) ms *= 1.6;
    ++failures_;
    return static_cast<int64_t>((ms < 120'000 ? ms : 120'000) * std::uniform_real_distribution<>(0.8, 1.2)(random_));
  }

  static constexpr uint64_t kServingStatus = 1;

  const std::shared_ptr<::grpc::Channel> channel_;
  const std::string service_;
  const std::function<void()> changed_;
  Health health_;
  std::string reason_;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<::grpc::Alarm> timer_;
  int failures_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_HEALTH_HPP
