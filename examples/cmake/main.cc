// Opens a channel through evener.hpp and says what it knows of it.
#include <evener.hpp>

#include <cstdio>

int main() {
  auto driver = evener::Driver::make();
  if (!driver) return std::fprintf(stderr, "%s\n", driver.message().c_str()), 1;
  auto channel = evener::Channel::open(*driver, "static:///127.0.0.1:50051;weight=3,127.0.0.1:50052");
  if (!channel) return std::fprintf(stderr, "%s\n", channel.message().c_str()), 1;
  std::printf("%s\n", channel->describe().take().c_str());
  return 0;
}
