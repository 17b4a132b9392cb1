// Picks through the C ABI, and round robin as it is written by hand in C++.
//
// Reads lines "NAME:ENDPOINTS:THREADS TIMES" and answers each with nanoseconds for one pick, as one thread sees it. The cases
// are made when they are first asked for.

#include <evener.h>

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Work = std::function<std::uint64_t(std::uint64_t times)>;

[[noreturn]] void stop(const char *what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
}

void check(evener_status status, const char *what) {
    if (status != EVENER_OK) stop(what);
}

// A balancer over endpoints that are all READY. Lives as long as the program.
class Fleet {
public:
    explicit Fleet(std::uint32_t endpoints) {
        evener_limits limits{};
        limits.struct_size = sizeof limits;
        limits.endpoints = endpoints;
        std::size_t size = 0;
        check(evener_balancer_size(&limits, &size), "size");
        memory_.reset(std::aligned_alloc(64, (size + 63) / 64 * 64));
        std::fill_n(static_cast<char *>(memory_.get()), size, 0);
        check(evener_balancer_init(memory_.get(), size, &limits, &balancer_, &controller_), "init");
        evener_policy policy{};
        policy.struct_size = sizeof policy;
        policy.kind = EVENER_POLICY_ROUND_ROBIN;
        check(evener_controller_set_policy(controller_, &policy), "policy");
        update(endpoints);
        connect();
    }

    const evener_balancer *balancer() const { return balancer_; }

private:
    void update(std::uint32_t endpoints) {
        std::vector<evener_endpoint> list(endpoints);
        for (std::uint32_t i = 0; i < endpoints; ++i) {
            list[i].id[0] = i;
            list[i].weight = 1;
        }
        evener_changes changes{};
        check(evener_controller_update(controller_, list.data(), list.size(), &changes), "update");
    }

    void connect() {
        for (auto due = poll(); !due.empty(); due = poll()) {
            for (const evener_action &action : due) {
                if (action.kind != EVENER_ACTION_CONNECT) continue;
                const evener_handle handle{action.slot, action.generation};
                check(evener_controller_set_connectivity(controller_, handle, EVENER_READY), "ready");
            }
        }
    }

    std::vector<evener_action> poll() {
        std::vector<evener_action> due;
        for (evener_action action{}; evener_controller_poll(controller_, 0, &action) == EVENER_OK;) {
            due.push_back(action);
        }
        return due;
    }

    struct Free {
        void operator()(void *memory) const { std::free(memory); }
    };

    std::unique_ptr<void, Free> memory_;
    evener_balancer *balancer_ = nullptr;
    evener_controller *controller_ = nullptr;
};

struct alignas(64) Counter {
    std::atomic<std::uint32_t> value{0};
};

std::vector<std::uint64_t> endpoints(std::uint32_t n) {
    std::vector<std::uint64_t> list(n);
    for (std::uint32_t i = 0; i < n; ++i) list[i] = i;
    return list;
}

Work evener_picks(std::uint32_t n) {
    auto fleet = std::make_shared<Fleet>(n);
    return [fleet](std::uint64_t times) {
        const evener_balancer *balancer = fleet->balancer();
        alignas(64) evener_cursor cursor{};
        evener_handle handle{};
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < times; ++i) {
            if (evener_pick(balancer, &cursor, &handle, nullptr) != EVENER_OK) stop("pick");
            sum += handle.slot + handle.generation;
        }
        return sum;
    };
}

Work shared_mutex_picks(std::uint32_t n) {
    struct State {
        std::shared_mutex mutex;
        std::vector<std::uint64_t> list;
        Counter next;
    };
    auto state = std::make_shared<State>();
    state->list = endpoints(n);
    return [state](std::uint64_t times) {
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < times; ++i) {
            const std::shared_lock lock(state->mutex);
            sum += state->list[state->next.value.fetch_add(1, std::memory_order_relaxed) % state->list.size()];
        }
        return sum;
    };
}

Work mutex_picks(std::uint32_t n) {
    struct State {
        std::mutex mutex;
        std::vector<std::uint64_t> list;
        std::uint32_t next = 0;
    };
    auto state = std::make_shared<State>();
    state->list = endpoints(n);
    return [state](std::uint64_t times) {
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < times; ++i) {
            const std::lock_guard lock(state->mutex);
            sum += state->list[state->next++ % state->list.size()];
        }
        return sum;
    };
}

std::atomic<std::uint64_t> kept{0};

using Clock = std::chrono::steady_clock;

struct Turn {
    Clock::time_point begin, end;
    double nanoseconds() const { return std::chrono::duration<double, std::nano>(end - begin).count(); }
};

Turn timed(const Work &work, std::uint64_t times) {
    Turn turn;
    turn.begin = Clock::now();
    kept.fetch_add(work(times), std::memory_order_relaxed);
    turn.end = Clock::now();
    return turn;
}

double alone(const Work &work, std::uint64_t times) {
    return timed(work, times).nanoseconds() / static_cast<double>(times);
}

// A core to itself for each thread, where the system lets us.
void pin_to([[maybe_unused]] unsigned number) {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    std::vector<unsigned> cores;
    for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
        if (CPU_ISSET(core, &allowed)) cores.push_back(core);
    }
    if (cores.empty()) return;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cores[number % cores.size()], &only);
    (void)sched_setaffinity(0, sizeof only, &only);
#endif
}

// Not a number if the threads did not run at the same time.
double together(const Work &work, unsigned threads, std::uint64_t times) {
    std::atomic<unsigned> arrived{0};
    std::vector<Turn> turns(threads);
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) {
        running.emplace_back([&, i] {
            pin_to(i);
            arrived.fetch_add(1);
            while (arrived.load() < threads) {
            }
            turns[i] = timed(work, times);
        });
    }
    for (std::thread &thread : running) thread.join();
    Turn both = turns[0];
    double sum = 0, longest = 0;
    for (const Turn &turn : turns) {
        both.begin = std::max(both.begin, turn.begin);
        both.end = std::min(both.end, turn.end);
        sum += turn.nanoseconds();
        longest = std::max(longest, turn.nanoseconds());
    }
    if (both.nanoseconds() < 0.8 * longest) return std::numeric_limits<double>::quiet_NaN();
    return sum / threads / static_cast<double>(times);
}

struct Case {
    Work work;
    unsigned threads;
};

Case make(const std::string &asked) {
    std::istringstream parts(asked);
    std::string name, n, threads;
    std::getline(parts, name, ':');
    std::getline(parts, n, ':');
    std::getline(parts, threads, ':');
    const auto endpoints = static_cast<std::uint32_t>(std::stoul(n));
    const auto count = static_cast<unsigned>(std::stoul(threads));
    if (name == "evener_pick") return {evener_picks(endpoints), count};
    if (name == "shared_mutex") return {shared_mutex_picks(endpoints), count};
    if (name == "mutex") return {mutex_picks(endpoints), count};
    stop("no such case");
}

}  // namespace

int main() {
    std::map<std::string, Case> cases;
    std::string asked;
    std::uint64_t times = 0;
    while (std::cin >> asked >> times) {
        auto found = cases.find(asked);
        if (found == cases.end()) found = cases.emplace(asked, make(asked)).first;
        const Case &measured = found->second;
        const double figure = measured.threads == 1 ? alone(measured.work, times)
                                                    : together(measured.work, measured.threads, times);
        std::printf("%.6f\n", figure);
        std::fflush(stdout);
    }
}
