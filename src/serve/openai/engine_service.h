#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "infer/engine.h"

namespace fathom {

// Who asked for a generation. All calls come from the engine's thread and must not wait.
class EngineClient {
 public:
  virtual ~EngineClient() = default;
  // One token, or the end, of choice `choice`. False: no more of this choice is wanted.
  virtual bool OnEvent(size_t choice, const EngineEvent& event) = 0;
  // The engine took none of the choices; nothing else comes.
  virtual void OnRefused(const Error& error, bool queue_full) = 0;
  // The engine took all of them, and state() counts them.
  virtual void OnTaken() {}
  // The service ends before they are done (GiveUp); nothing else comes.
  virtual void OnGivenUp() = 0;
};

// Told of all that the engine does, for metrics and estimates. All calls come from the engine's
// thread and must not wait.
class EngineObserver {
 public:
  using Seconds = std::chrono::duration<double>;
  virtual ~EngineObserver() = default;
  // After a step, and after requests have come or gone.
  virtual void OnStep(const Engine& engine) = 0;
  // A written token. since_last: since the one before, of the first since its request's arrival.
  virtual void OnToken(const EngineEvent& event, Seconds since_last) = 0;
  // The end of an answer. usage: as far as it came; reason: "stop", "length", "error" or "abort".
  virtual void OnEnd(const RequestUsage& usage, std::string_view reason, Seconds since_arrival) = 0;
};

// An engine on a thread of its own, fed from any thread.
class EngineService {
 public:
  // The engine has to outlive it, and is its alone; so have the observers.
  explicit EngineService(Engine& engine, std::vector<EngineObserver*> observers = {});
  // Gives up what is under way; its clients hear no more.
  ~EngineService();
  EngineService(const EngineService&) = delete;
  EngineService& operator=(const EngineService&) = delete;

  // Asks for several choices at once: choices are numbered by their place. Returns a ticket.
  uint64_t Submit(std::vector<GenerationRequest> choices, std::shared_ptr<EngineClient> client);
  // Gives up all choices of a ticket; one that is unknown or over is ignored.
  void Cancel(uint64_t ticket);
  // Gives up all that is under way, and from now on all that is asked for; the clients are told.
  void GiveUp();

  struct State {
    int64_t running = 0, waiting = 0;  // choices
    // Since the last step ended, while there is something to do; 0 otherwise.
    std::chrono::milliseconds stalled{0};
    // No step takes so long: something is wrong that a restart may mend.
    bool is_stuck() const { return stalled >= std::chrono::minutes(5); }
  };
  State state() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Order {
    uint64_t ticket;
    std::vector<GenerationRequest> choices;  // empty: the ticket is cancelled
    std::shared_ptr<EngineClient> client;
  };
  struct Choice {
    uint64_t ticket;
    size_t number;
    std::shared_ptr<EngineClient> client;
    Clock::time_point arrival, last_token;
    RequestUsage usage;
  };

  void Run();
  // Returns whose choices the engine has taken; nullptr: it took none.
  std::shared_ptr<EngineClient> Take(Order order);
  void Deliver(const std::vector<EngineEvent>& events);
  void Observe(Choice& choice, const EngineEvent& event);
  void End(std::map<int64_t, Choice>::iterator choice, std::string_view reason);
  // Gives up what is left of a ticket; its client is not told.
  void EndTicket(uint64_t ticket, std::string_view reason);
  // The engine failed as a whole: everybody is told.
  void Fail(const std::string& error);
  void GiveUpAll(std::vector<Order> orders);
  void Publish();

  Engine& engine_;
  const std::vector<EngineObserver*> observers_;
  std::map<int64_t, Choice> choices_;           // by the engine's ids
  std::multimap<uint64_t, int64_t> of_ticket_;  // the engine's ids of a ticket

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Order> orders_;
  uint64_t next_ticket_ = 1;
  bool stop_ = false, gives_up_ = false;
  State state_;
  Clock::time_point last_step_;
  bool busy_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace fathom
