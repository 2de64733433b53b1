#include "infer/scheduler/scheduler.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"

namespace fathom {

void Scheduler::Add(int64_t id, const std::string& user_name, int priority, int64_t length) {
  FATHOM_CHECK(length > 0);
  User& user = users_[user_name];
  user.name = user_name;
  // Whoever comes back has no claim for the time away.
  if (user.waiting_count == 0) user.counter = std::max(user.counter, Floor());
  const auto [entry, is_new] = entries_.try_emplace(id, Entry{.id = id,
                                                              .user = &user,
                                                              .priority = priority,
                                                              .arrival = next_arrival_++,
                                                              .arrived_step = now_,
                                                              .prompt = length,
                                                              .length = length});
  FATHOM_CHECK(is_new);
  ++user.requests;
  ++priorities_[priority];
  PutIntoQueue(entry->second);
}

double Scheduler::Floor() const {
  std::optional<double> least;
  for (const auto& [name, user] : users_) {
    if (user.waiting_count > 0) least = std::min(least.value_or(user.counter), user.counter);
  }
  return least.value_or(last_counter_);
}

void Scheduler::Remove(int64_t id) {
  const auto found = entries_.find(id);
  FATHOM_CHECK(found != entries_.end());
  Entry& entry = found->second;
  if (entry.running) {
    running_.erase(std::ranges::find(running_, &entry));
  } else {
    TakeFromQueue(entry);
  }
  if (--priorities_[entry.priority] == 0) priorities_.erase(entry.priority);
  if (--entry.user->requests == 0) {
    // Whoever would be lifted to the floor anyway need not be remembered, and no debt outlives
    // everybody's requests.
    const double floor = Floor();
    std::erase_if(users_, [&](const auto& user) {
      return user.second.requests == 0 && (entries_.size() == 1 || user.second.counter <= floor);
    });
  }
  entries_.erase(found);
}

void Scheduler::PutIntoQueue(Entry& entry) {
  entry.user->waiting[entry.priority][entry.arrival] = &entry;
  ++entry.user->waiting_count;
}

void Scheduler::TakeFromQueue(Entry& entry) {
  User& user = *entry.user;
  const auto queue = user.waiting.find(entry.priority);
  queue->second.erase(entry.arrival);
  if (queue->second.empty()) user.waiting.erase(queue);
  if (--user.waiting_count == 0) last_counter_ = user.counter;
}

int64_t Scheduler::WaitingOf(const std::string& user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? 0 : found->second.waiting_count;
}

double Scheduler::ServiceOf(const std::string& user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? 0 : found->second.counter;
}

int Scheduler::EffectivePriority(const Entry& entry) const {
  if (options_.age_steps == 0) return entry.priority;
  const int64_t risen = entry.priority + (now_ - entry.arrived_step) / options_.age_steps;
  return static_cast<int>(std::min<int64_t>(risen, priorities_.rbegin()->first));
}

bool Scheduler::Outranks(const Entry& a, const Entry& b) const {
  const int of_a = EffectivePriority(a), of_b = EffectivePriority(b);
  return of_a != of_b ? of_a > of_b : a.arrival < b.arrival;
}

Scheduler::Entry* Scheduler::LeastRunning() const {
  Entry* least = nullptr;
  for (Entry* entry : running_) {
    if (least == nullptr || Outranks(*least, *entry)) least = entry;
  }
  return least;
}

void Scheduler::Charge(Entry& entry, int64_t end) {
  const int64_t begin = entry.charged;
  if (end <= begin) return;  // what was lost to preemption is not charged twice
  const int64_t of_prompt = std::max<int64_t>(0, std::min(end, entry.prompt) - begin);
  entry.user->counter += static_cast<double>(of_prompt) +
                         options_.answer_weight * static_cast<double>(end - begin - of_prompt);
  entry.charged = end;
}

Scheduler::Step Scheduler::Schedule(SequencePages& pages) {
  ++now_;
  Step step;
  budget_ = options_.step_tokens;
  preempted_priority_.reset();
  for (Entry* entry : running_) entry->grant = -1;
  GrantAnswers(PromptsWait() ? std::max<int64_t>(1, options_.step_tokens / 4) : 0, pages, step);
  GrantPrompts(pages, step);
  GrantAnswers(0, pages, step);  // what prompts have left
  std::erase_if(step.grants, [](const Grant& grant) { return grant.count == 0; });
  std::ranges::sort(step.grants, {}, &Grant::id);
  for (const Grant& grant : step.grants) {
    Entry& entry = entries_.at(grant.id);
    entry.grant = -1;
  }
  return step;
}

void Scheduler::Computed(int64_t id, int64_t rows, int64_t length, int64_t guesses) {
  Entry& entry = entries_.at(id);
  entry.rows = rows;
  entry.length = length;
  entry.guesses = guesses;
}

bool Scheduler::PromptsWait() const {
  return waiting() > 0 || std::ranges::any_of(running_, [](const Entry* entry) {
           return entry->length - entry->rows > 1;
         });
}

void Scheduler::GrantAnswers(int64_t for_prompts, SequencePages& pages, Step& step) {
  std::vector<Entry*> answering;
  for (Entry* entry : running_) {
    if (entry->length - entry->rows == 1 && entry->grant < 0) answering.push_back(entry);
  }
  std::ranges::sort(answering, [this](const Entry* a, const Entry* b) { return Outranks(*a, *b); });
  for (Entry* entry : answering) {
    if (budget_ <= for_prompts) break;
    // It may have been preempted for one before it.
    if (entry->running && TakePages(*entry, entry->length, pages, step)) Give(*entry, 1, step);
  }
  // Guesses come after everybody's answers, and take no page that somebody's answer may want next.
  for (Entry* entry : answering) {
    const int64_t guesses = std::min(entry->guesses, budget_ - for_prompts);
    if (entry->grant < 0 || guesses <= 0) continue;
    const int64_t wanted = Pages(entry->length + guesses);
    if (wanted > entry->pages) {
      if (pages.Available() < wanted - entry->pages + running()) continue;
      if (!pages.Reserve(entry->id, entry->length + guesses)) continue;
      entry->pages = wanted;
    }
    Grant& grant = step.grants[static_cast<size_t>(entry->grant)];
    grant.guesses = guesses;
    grant.count += guesses;
    budget_ -= guesses;
  }
}

void Scheduler::GrantPrompts(SequencePages& pages, Step& step) {
  std::vector<Cursor> cursors;
  for (auto& [name, user] : users_) {
    for (auto& [priority, queue] : user.waiting) cursors.push_back({&queue, queue.begin()});
  }
  std::vector<Entry*> prompts;  // running
  for (Entry* entry : running_) {
    if (entry->length - entry->rows > 1) prompts.push_back(entry);
  }
  std::set<uint64_t> units;  // under way in this step
  bool admits = true;
  while (budget_ > 0) {
    // The best of all that have had nothing yet.
    Entry* best = nullptr;
    Cursor* from = nullptr;
    const auto try_one = [&](Entry* entry, Cursor* cursor) {
      const auto rank = [this](const Entry& one) {
        return std::tuple(-EffectivePriority(one), one.user->counter, one.arrival);
      };
      if (best == nullptr || rank(*entry) < rank(*best)) best = entry, from = cursor;
    };
    for (Entry* entry : prompts) {
      if (entry->running) try_one(entry, nullptr);
    }
    if (admits) {
      for (Cursor& cursor : cursors) {
        if (cursor.next != cursor.queue->end()) try_one(cursor.next->second, &cursor);
      }
    }
    if (best == nullptr) return;
    Entry& entry = *best;
    if (from != nullptr) {
      // The room of what was preempted is for those that it was preempted for.
      if (preempted_priority_ && EffectivePriority(entry) <= *preempted_priority_) {
        admits = false;
        continue;
      }
      entry.rows = pages.Extend(entry.id, /*all=*/false);
      entry.pages = Pages(entry.rows);
      if (units.contains(pages.UnitUnderWay(entry.id))) {
        pages.Release(entry.id);
        entry.rows = entry.pages = 0;
        ++from->next;
        continue;
      }
      ++from->next;
      // A queue may end with this entry, and with it the cursor's queue.
      const bool last = from->queue->size() == 1;
      if (!Admit(entry, pages, step)) {
        admits = false;
        continue;
      }
      if (last) {
        std::erase_if(cursors, [from](const Cursor& cursor) { return &cursor == from; });
      }
    } else {
      std::erase(prompts, &entry);
      if (units.contains(pages.UnitUnderWay(entry.id))) continue;
    }
    entry.rows = pages.Extend(entry.id, /*all=*/true);
    entry.pages = std::max(entry.pages, Pages(entry.rows));
    int64_t count = std::min(entry.length - entry.rows, budget_);
    // A piece that does not end its prompt ends with a page, which others may wait for.
    const int64_t beyond = (entry.rows + count) % options_.page_tokens;
    if (entry.rows + count < entry.length && count > beyond) count -= beyond;
    const uint64_t unit = pages.UnitUnderWay(entry.id);
    if (!TakePages(entry, entry.rows + count, pages, step)) continue;
    units.insert(unit);
    Give(entry, count, step);
  }
}

bool Scheduler::Admit(Entry& entry, SequencePages& pages, Step& step) {
  const auto refuse = [&] {
    pages.Release(entry.id);
    entry.rows = entry.pages = 0;
    return false;
  };
  while (running() >= options_.max_running) {
    if (!MakeRoomByPriority(entry, /*for_place=*/true, pages, step)) return refuse();
  }
  const auto fits = [&] {
    if (running_.empty()) return true;
    // What the running ones still take of their prompts, and a page for each to grow.
    int64_t promised = running();
    for (const Entry* other : running_) {
      promised += std::max<int64_t>(0, Pages(other->length) - other->pages);
    }
    return Pages(entry.length) - entry.pages + promised <= pages.Available();
  };
  while (!fits()) {
    if (!MakeRoomByPriority(entry, /*for_place=*/false, pages, step)) return refuse();
  }
  TakeFromQueue(entry);
  entry.running = true;
  running_.insert(std::ranges::upper_bound(running_, entry.arrival, {}, &Entry::arrival), &entry);
  return true;
}

// Preempts the least of those with less priority than `entry`, if their pages would be enough.
bool Scheduler::MakeRoomByPriority(const Entry& entry, bool for_place, SequencePages& pages,
                                   Step& step) {
  Entry* const least = LeastRunning();
  const int priority = EffectivePriority(entry);
  if (least == nullptr || EffectivePriority(*least) >= priority) return false;
  if (!for_place) {
    int64_t wanted = Pages(entry.length) - entry.pages, possible = pages.Available();
    for (const Entry* other : running_) {
      if (EffectivePriority(*other) < priority) {
        possible += other->pages;
      } else {
        wanted += 1 + std::max<int64_t>(0, Pages(other->length) - other->pages);
      }
    }
    if (wanted > possible) return false;
  }
  Preempt(*least, pages, step);
  return true;
}

bool Scheduler::TakePages(Entry& entry, int64_t length, SequencePages& pages, Step& step) {
  while (!pages.Reserve(entry.id, length)) {
    Entry* const least = LeastRunning();
    Preempt(*least, pages, step);
    if (least == &entry) return false;
  }
  entry.pages = std::max(entry.pages, Pages(length));
  return true;
}

void Scheduler::Give(Entry& entry, int64_t count, Step& step) {
  entry.grant = static_cast<int64_t>(step.grants.size());
  step.grants.push_back({entry.id, entry.rows, count});
  budget_ -= count;
  entry.charged = std::max(entry.charged, entry.rows);  // what was cached is free
  Charge(entry, entry.rows + count);
}

void Scheduler::Preempt(Entry& entry, SequencePages& pages, Step& step) {
  if (entry.grant >= 0) {
    Grant& grant = step.grants[static_cast<size_t>(entry.grant)];
    budget_ += grant.count;
    grant.count = 0;  // taken back
    entry.grant = -1;
  }
  pages.Release(entry.id);
  entry.rows = entry.pages = entry.guesses = 0;
  entry.running = false;
  preempted_priority_ =
      std::max(EffectivePriority(entry), preempted_priority_.value_or(EffectivePriority(entry)));
  running_.erase(std::ranges::find(running_, &entry));
  PutIntoQueue(entry);
  step.preempted.push_back(entry.id);
}

}  // namespace fathom
