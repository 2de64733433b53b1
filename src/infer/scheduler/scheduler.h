#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fathom {

struct SchedulerOptions {
  int64_t step_tokens = 512;  // tokens computed in one step at most
  int64_t max_running = 256;  // requests that hold pages at a time
  // A request that has waited so many steps is treated as if its priority were higher by one, and
  // so on up to the highest priority there is; 0: never. So nobody waits for ever behind an endless
  // stream of more important requests.
  int64_t age_steps = 1024;
  // What a token of an answer counts, beside a computed token of a prompt, in a user's share.
  double answer_weight = 2;
  int64_t page_tokens = 64;
};

// What the scheduler asks about requests' pages, by request.
class SequencePages {
 public:
  virtual ~SequencePages() = default;
  // Pages that can be taken.
  virtual int64_t Available() const = 0;
  // Takes what is cached of a request's tokens: with `all` everything that there is, otherwise what
  // is quickly had and given back. Returns the tokens whose rows it has then.
  virtual int64_t Extend(int64_t request, bool all) = 0;
  // Equal for two requests when the next rows of one are the next rows of the other.
  virtual uint64_t UnitUnderWay(int64_t request) const = 0;
  // Pages for positions [0, length); false when there are not enough.
  virtual bool Reserve(int64_t request, int64_t length) = 0;
  // All of its pages go back.
  virtual void Release(int64_t request) = 0;
};

// Decides which tokens of which requests the next step computes. Pure: it sees lengths, priorities,
// users and page counts, neither tensors nor clocks, and the same calls give the same decisions.
//
// A step first has one token of every answer under way, with those guessed after it where they
// take nothing from anybody, then pieces of prompts, as many tokens as fit; a quarter of the step
// is left to prompts when there are any. Pages are taken as they are needed. When there are none,
// the running request of the least priority, of those the one that came last, is preempted: its
// pages are released (they stay cached as long as nobody needs them), and it waits and goes on
// later from what is then left of them.
//
// Who is next: the highest priority; of that the user who has had the least so far (the virtual
// token counter of Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024: a user's
// counter grows by the tokens computed for them, and is lifted to the least of those waiting when
// the user comes back); of a user's requests the one that came first. A request is admitted when
// its tokens so far and one page of growth for every running request fit: answers are not reserved
// for. None that comes later passes one that does not fit.
//
// Of requests whose next page is the same, one computes it and the others wait for it.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options) : options_(options) {}

  // length: tokens there are, all of which have to be computed.
  void Add(int64_t id, const std::string& user, int priority, int64_t length);
  // It is finished or given up; its pages are the caller's business.
  void Remove(int64_t id);

  struct Grant {
    int64_t id;
    int64_t first;  // positions [first, first + count) are to be computed; there are pages for them
    int64_t count;
    int64_t guesses = 0;  // among these, the last
  };
  struct Step {
    std::vector<Grant> grants;  // by id
    std::vector<int64_t> preempted;
  };
  // Nothing is granted only when there are no requests.
  Step Schedule(SequencePages& pages);
  // Tells what became of a grant: rows that are there now, the tokens of the request, and how many
  // more are guessed.
  void Computed(int64_t id, int64_t rows, int64_t length, int64_t guesses = 0);

  int64_t waiting() const { return static_cast<int64_t>(entries_.size()) - running(); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t WaitingOf(const std::string& user) const;
  // What a user has had, in tokens of a prompt; 0 for one without requests.
  double ServiceOf(const std::string& user) const;
  bool IsRunning(int64_t id) const { return entries_.at(id).running; }

 private:
  struct User;
  struct Entry {
    int64_t id;
    User* user;
    int priority;
    int64_t arrival;       // the order in which requests came
    int64_t arrived_step;  // when
    int64_t prompt;        // tokens there were when it came
    int64_t length;
    int64_t rows = 0;     // tokens whose rows it has
    int64_t pages = 0;    // that it holds
    int64_t charged = 0;  // positions that its user has been charged for
    int64_t guesses = 0;
    bool running = false;
    int64_t grant = -1;  // its place in the step's grants
  };
  struct User {
    std::string name;
    double counter = 0;
    int64_t requests = 0, waiting_count = 0;
    // By priority, by arrival.
    std::map<int, std::map<int64_t, Entry*>> waiting;
  };
  // A place in one of the queues above.
  struct Cursor {
    std::map<int64_t, Entry*>* queue;
    std::map<int64_t, Entry*>::iterator next;
  };

  int64_t Pages(int64_t tokens) const {
    return (tokens + options_.page_tokens - 1) / options_.page_tokens;
  }
  int EffectivePriority(const Entry& entry) const;
  // Whether a keeps its pages rather than b.
  bool Outranks(const Entry& a, const Entry& b) const;
  Entry* LeastRunning() const;  // null when none runs

  void PutIntoQueue(Entry& entry);
  void TakeFromQueue(Entry& entry);
  void Charge(Entry& entry, int64_t end);

  // One token of each answer that has had none, but so many tokens are left to prompts.
  void GrantAnswers(int64_t for_prompts, SequencePages& pages, Step& step);
  void GrantPrompts(SequencePages& pages, Step& step);
  bool PromptsWait() const;
  bool Admit(Entry& entry, SequencePages& pages, Step& step);
  bool MakeRoomByPriority(const Entry& entry, bool for_place, SequencePages& pages, Step& step);
  // The least counter of the users who wait, or what it was last.
  double Floor() const;
  bool TakePages(Entry& entry, int64_t length, SequencePages& pages, Step& step);
  void Give(Entry& entry, int64_t count, Step& step);
  void Preempt(Entry& entry, SequencePages& pages, Step& step);

  SchedulerOptions options_;
  std::map<int64_t, Entry> entries_;
  std::vector<Entry*> running_;  // by arrival
  std::map<std::string, User> users_;
  std::map<int, int64_t> priorities_;  // of all requests, and how many have each
  double last_counter_ = 0;            // of the user whose queue became empty last
  int64_t next_arrival_ = 0;
  int64_t now_ = 0;  // steps
  // Of the step being made: tokens left, and the highest priority that was preempted.
  int64_t budget_ = 0;
  std::optional<int> preempted_priority_;
};

}  // namespace fathom
