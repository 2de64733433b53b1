// The scheduler by itself, over a cache that only counts pages.

#include "infer/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace fathom::test {
namespace {

constexpr int64_t kPageTokens = 4;

// Pages without contents; nothing is ever cached.
class CountedPages : public SequencePages {
 public:
  explicit CountedPages(int64_t count) : free_(count) {}

  int64_t Available() const override { return free_; }
  int64_t Extend(int64_t request, bool) override { return rows[request]; }
  uint64_t UnitUnderWay(int64_t request) const override {
    const auto unit = units.find(request);
    return unit != units.end() ? unit->second : static_cast<uint64_t>(request) + 1'000'000;
  }
  bool Reserve(int64_t request, int64_t length) override {
    const int64_t wanted = (length + kPageTokens - 1) / kPageTokens - pages[request];
    if (wanted > free_) return false;
    if (wanted > 0) free_ -= wanted, pages[request] += wanted;
    return true;
  }
  void Release(int64_t request) override {
    free_ += pages[request];
    pages[request] = rows[request] = 0;
  }

  std::map<int64_t, int64_t> rows, pages;
  std::map<int64_t, uint64_t> units;

 private:
  int64_t free_;
};

// Runs requests on a scheduler as an engine would.
class Simulation {
 public:
  Simulation(SchedulerOptions options, int64_t page_count)
      : options_(WithPages(options)), scheduler(options_), pages(page_count) {}

  int64_t Add(int64_t prompt, int64_t answer, const std::string& user = "", int priority = 0) {
    requests[next_] = {prompt, answer, 0};
    scheduler.Add(next_, user, priority, prompt);
    return next_++;
  }
  void Remove(int64_t id) {
    pages.Release(id);
    scheduler.Remove(id);
    requests.erase(id);
  }
  Scheduler::Step Step() {
    const Scheduler::Step step = scheduler.Schedule(pages);
    EXPECT_EQ(step.grants.empty(), requests.empty());
    int64_t total = 0;
    std::set<int64_t> ids;
    for (const Scheduler::Grant& grant : step.grants) {
      EXPECT_TRUE(ids.insert(grant.id).second);
      EXPECT_GT(grant.count, 0);
      total += grant.count;
      EXPECT_EQ(grant.first, pages.rows[grant.id]);
      EXPECT_GE(pages.pages[grant.id] * kPageTokens, grant.first + grant.count);
      Request& request = requests.at(grant.id);
      pages.rows[grant.id] = grant.first + grant.count;
      EXPECT_LE(pages.rows[grant.id], request.length());
      if (pages.rows[grant.id] == request.length()) ++request.written;
      if (request.written == request.answer) {
        finished.push_back(grant.id);
        Remove(grant.id);
      } else {
        scheduler.Computed(grant.id, pages.rows[grant.id], request.length());
      }
    }
    EXPECT_LE(total, options_.step_tokens);
    EXPECT_LE(scheduler.running(), options_.max_running);
    return step;
  }
  void Finish() {
    for (int64_t steps = 0; !requests.empty(); ++steps) {
      ASSERT_LT(steps, 100'000);
      Step();
    }
  }

  struct Request {
    int64_t prompt, answer, written;
    int64_t length() const { return prompt + written; }
  };

 private:
  static SchedulerOptions WithPages(SchedulerOptions options) {
    options.page_tokens = kPageTokens;
    return options;
  }
  SchedulerOptions options_;
  int64_t next_ = 0;

 public:
  Scheduler scheduler;
  CountedPages pages;
  std::map<int64_t, Request> requests;
  std::vector<int64_t> finished;
};

std::map<int64_t, int64_t> Counts(const Scheduler::Step& step) {
  std::map<int64_t, int64_t> counts;
  for (const Scheduler::Grant& grant : step.grants) counts[grant.id] = grant.count;
  return counts;
}

using Granted = std::map<int64_t, int64_t>;

TEST(Scheduler, PromptsAreCutAndMixedWithAnswers) {
  Simulation run({.step_tokens = 10}, 100);
  run.Add(3, 5);
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 3}}));
  run.Add(25, 1);
  // One token of the answer; the prompt gets the rest, in pieces that end with a page.
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 1}, {1, 8}}));
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 1}, {1, 8}}));
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 1}, {1, 9}}));
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 1}}));
  EXPECT_EQ(run.finished, (std::vector<int64_t>{1, 0}));
}

TEST(Scheduler, PromptsGetAQuarterOfAFullStep) {
  Simulation run({.step_tokens = 8}, 100);
  for (int i = 0; i < 8; ++i) run.Add(1, 50);
  run.Step();
  run.Add(10, 1);
  const auto counts = Counts(run.Step());
  EXPECT_EQ(counts.at(8), 2);
  EXPECT_EQ(counts.size(), 7U);
}

TEST(Scheduler, TheLeastImportantAndThenTheLastIsPreempted) {
  Simulation run({.step_tokens = 100}, 8);
  run.Add(4, 20, "", 1);
  run.Add(4, 20, "", 0);
  run.Add(4, 20, "", 0);
  EXPECT_EQ(run.Step().grants.size(), 3U);
  // Each takes a page more every four steps; nine are too many.
  std::vector<int64_t> preempted;
  while (preempted.empty()) preempted = run.Step().preempted;
  EXPECT_EQ(preempted, (std::vector<int64_t>{2}));
  run.Finish();
  EXPECT_EQ(run.finished.size(), 3U);
  EXPECT_EQ(run.finished[2], 2);
  EXPECT_EQ(run.pages.Available(), 8);
}

TEST(Scheduler, AMoreImportantRequestTakesThePlaceOfALessImportantOne) {
  Simulation run({.step_tokens = 100, .max_running = 2}, 100);
  run.Add(4, 20, "", 0);
  run.Add(4, 20, "", 1);
  run.Step();
  run.Add(4, 20, "", 2);
  const Scheduler::Step step = run.Step();
  EXPECT_EQ(step.preempted, (std::vector<int64_t>{0}));
  EXPECT_EQ(Counts(step), (Granted{{1, 1}, {2, 4}}));
  // Equals do not push each other out.
  run.Add(4, 20, "", 1);
  EXPECT_TRUE(run.Step().preempted.empty());
}

TEST(Scheduler, PagesOfTheLessImportantAreTakenOnlyIfThatIsEnough) {
  Simulation run({.step_tokens = 100}, 10);
  run.Add(24, 2, "", 5);
  run.Add(4, 2, "", 0);
  run.Step();
  run.Add(32, 2, "", 1);  // eight pages; six are held by the most important one
  EXPECT_TRUE(run.Step().preempted.empty());
  run.Finish();
}

TEST(Scheduler, NobodyPassesOneThatDoesNotFit) {
  Simulation run({.step_tokens = 100}, 10);
  run.Add(24, 10);
  run.Step();
  run.Add(20, 1);
  run.Add(1, 1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Counts(run.Step()), (Granted{{0, 1}}));
  run.Finish();
}

TEST(Scheduler, AnswersAreNotReservedFor) {
  Simulation run({.step_tokens = 100}, 16);
  // Each may grow to 26 pages' worth, and could not be started beside another one if that were kept
  // for it.
  for (int i = 0; i < 4; ++i) run.Add(4, 50);
  EXPECT_EQ(run.Step().grants.size(), 4U);
  run.Finish();
}

TEST(Scheduler, OneComputesWhatSeveralWaitFor) {
  Simulation run({.step_tokens = 100}, 100);
  for (int i = 0; i < 3; ++i) run.pages.units[run.Add(8, 5)] = 7;
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 8}}));
  run.pages.units.clear();
  EXPECT_EQ(Counts(run.Step()), (Granted{{0, 1}, {1, 8}, {2, 8}}));
}

TEST(Scheduler, WhoeverWaitsLongEnoughIsServed) {
  Simulation run({.step_tokens = 8, .max_running = 2, .age_steps = 30}, 100);
  const int64_t patient = run.Add(4, 4, "patient", 0);
  int64_t steps = 0;
  // More important requests than can be served, for ever.
  while (run.requests.contains(patient)) {
    while (run.scheduler.waiting() < 4) run.Add(4, 4, "busy", 3);
    run.Step();
    ASSERT_LT(++steps, 3 * 30 + 100);
  }
  EXPECT_GT(steps, 3 * 30) << "priorities have no effect";
}

// ---- Properties, over random loads

TEST(Scheduler, NobodyOfLessPriorityRunsInPlaceOfSomebodyOfMore) {
  RandomStream random(3);
  const auto below = [&](uint64_t bound) { return static_cast<int64_t>(random.NextBelow(bound)); };
  Simulation run({.step_tokens = 24, .max_running = 4, .age_steps = 0}, 10'000);
  std::map<int64_t, int> priorities;
  for (int64_t step = 0; step < 5'000; ++step) {
    if (below(4) == 0) {
      const int priority = static_cast<int>(below(4));
      priorities[run.Add(1 + below(30), 1 + below(20), std::string(1, "abc"[below(3)]), priority)] =
          priority;
    }
    if (below(50) == 0 && !run.requests.empty()) run.Remove(run.requests.begin()->first);
    const auto waiting_before = run.requests;
    int64_t granted = 0;
    for (const Scheduler::Grant& grant : run.Step().grants) granted += grant.count;
    if (granted == 24) continue;  // the step was full: not everybody was looked at
    int highest_waiting = -1, lowest_running = 100;
    for (const auto& [id, request] : run.requests) {
      const int priority = priorities.at(id);
      if (run.scheduler.IsRunning(id)) {
        lowest_running = std::min(lowest_running, priority);
      } else {
        highest_waiting = std::max(highest_waiting, priority);
      }
    }
    // A place that came free in this step is given in the next one.
    if (run.scheduler.running() < 4) continue;
    ASSERT_LE(highest_waiting, lowest_running) << "step " << step;
  }
}

// Sheng et al., OSDI 2024, theorem 4.4: what two users who always have something waiting get
// differs by at most 2 max(w_p L, w_q M), with L the longest prompt and M the tokens that fit into
// the cache.
TEST(Scheduler, UsersWhoWaitGetTheSameWithinTheBound) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    RandomStream random(seed);
    const auto below = [&](uint64_t bound) {
      return static_cast<int64_t>(random.NextBelow(bound));
    };
    constexpr int64_t kPages = 60, kLongest = 40;
    constexpr double kAnswerWeight = 2;
    Simulation run({.step_tokens = 16 + below(40),
                    .max_running = 4 + below(12),
                    .age_steps = 0,
                    .answer_weight = kAnswerWeight},
                   kPages);
    // One asks for much at a time and far more often, one for little; both always wait.
    const auto fill = [&] {
      while (run.scheduler.WaitingOf("greedy") < 20) {
        run.Add(kLongest / 2 + below(kLongest / 2), 20 + below(20), "greedy");
      }
      while (run.scheduler.WaitingOf("modest") < 20) run.Add(1 + below(8), 1 + below(8), "modest");
    };
    const double bound =
        2 * std::max<double>(kLongest, kAnswerWeight * static_cast<double>(kPages * kPageTokens));
    double largest = 0;
    fill();
    for (int64_t step = 0; step < 8'000; ++step) {
      run.Step();
      fill();
      largest = std::max(
          largest, std::abs(run.scheduler.ServiceOf("greedy") - run.scheduler.ServiceOf("modest")));
    }
    EXPECT_LE(largest, bound) << "seed " << seed;
    EXPECT_GT(run.scheduler.ServiceOf("modest"), 10 * bound) << "too little was served to tell";
  }
}

// A user who was away has no claim to what the others have had since.
TEST(Scheduler, WhoComesBackStartsWithTheOthers) {
  Simulation run({.step_tokens = 8, .max_running = 2, .age_steps = 0}, 100);
  run.Add(4, 4, "away");
  run.Finish();
  while (run.scheduler.ServiceOf("here") < 1000) {
    while (run.scheduler.WaitingOf("here") < 3) run.Add(4, 4, "here");
    run.Step();
  }
  run.Add(4, 4, "away");
  EXPECT_GE(run.scheduler.ServiceOf("away"), 990);
}

TEST(Scheduler, SameCallsSameDecisions) {
  const auto decisions = [] {
    Simulation run({.step_tokens = 12, .max_running = 3}, 12);
    RandomStream random(8);
    std::vector<int64_t> all;
    for (int64_t step = 0; step < 500; ++step) {
      if (random.NextBelow(3) == 0) {
        run.Add(1 + static_cast<int64_t>(random.NextBelow(20)), 5,
                std::string(1, "xy"[random.NextBelow(2)]), static_cast<int>(random.NextBelow(2)));
      }
      for (const Scheduler::Grant& grant : run.Step().grants) {
        all.insert(all.end(), {grant.id, grant.first, grant.count});
      }
    }
    return all;
  };
  EXPECT_EQ(decisions(), decisions());
}

}  // namespace
}  // namespace fathom::test
