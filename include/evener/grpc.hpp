// evener for gRPC C++: one header to include, one function to call.
//
//   #include <evener/grpc.hpp>
//   auto channel = evener::grpc::CreateChannel("static:///10.0.0.1:50051,10.0.0.2:50051", grpc::InsecureChannelCredentials());
//   auto stub = helloworld::Greeter::NewStub(channel);   // generated code, unchanged
//
// Header-only, because gRPC C++ has no stable ABI: it is compiled against the gRPC that the application uses (1.51 and later).
// Link libevener (the full build) and gRPC.
//
// The rooms, from the bottom up, each a file under evener/grpc:
//
//   access      the only one that knows gRPC's private parts and versions
//   log         where messages go
//   discovery   options of live targets
//   endpoint    one server of a list
//   engine      the C ABI in C++ clothes: everything is decided behind it
//   driver      one thread takes the engine's orders, one carries them out
//   json        finds one member of a JSON object
//   arguments   which ChannelArguments reach the inner channels
//   lint        which of them are likely to hurt
//   registry    memory of running calls; cancels those that outlast a drain
//   report      tells the engine how each call ended
//   health      asks a server for its health
//   subchannel  one endpoint's transport, and the table that finds it
//   core        carries out orders, watches connections
//   late_bind   calls that wait for an endpoint
//   channel     what the application gets
//   resolver    schemes of the application's own
//   services    registration, and configuration from registries
#ifndef EVENER_GRPC_HPP
#define EVENER_GRPC_HPP

#include "grpc/channel.hpp"
#include "grpc/resolver.hpp"
#include "grpc/services.hpp"

#endif  // EVENER_GRPC_HPP
