// Runs the cases named on the command line, or all; --list prints their names.
#include <cstring>

#include "check.hpp"

namespace {

bool IsAsked(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return true;
  }
  return argc == 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace evener_tests;
  const bool list = argc == 2 && std::strcmp(argv[1], "--list") == 0;
  int run = 0;
  for (const Case& test : Cases()) {
    if (list) std::printf("%s\n", test.name);
    if (list || !IsAsked(test.name, argc, argv)) continue;
    Context() = test.name;
    ++run;
    test.run();
  }
  if (list) return 0;
  std::printf("%d cases, %d failed checks\n", run, Failures().load());
  std::fflush(stdout);
  // At once: gRPC's threads and the driver's are still at work, which is nothing to wait for.
  std::_Exit(run == 0 || Failures() != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
