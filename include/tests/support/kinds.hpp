// Every kind of call that generated stubs and the generic stub offer, each as a function that returns when the call is over.
#ifndef EVENER_TESTS_KINDS_HPP
#define EVENER_TESTS_KINDS_HPP

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "demo.grpc.pb.h"

namespace evener_tests {

using ChannelPtr = std::shared_ptr<grpc::ChannelInterface>;

struct Result {
  grpc::Status status;
  evener::demo::Reply reply;
};

struct Kind {
  const char* name;
  Result (*run)(const ChannelPtr& channel, grpc::ClientContext* context, const evener::demo::Request& request);
};

// All kinds; a test loops over them.
const std::vector<Kind>& Kinds();

}  // namespace evener_tests

#endif  // EVENER_TESTS_KINDS_HPP
