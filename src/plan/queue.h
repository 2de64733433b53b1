#pragma once

namespace fathom {

// A service as a queue: requests arrive at random (Poisson), `servers` of them are served at once,
// `room` more may wait, who waits gives up after an exponential time, and who finds no room is
// refused: M/M/c/K+M. Without room Erlang's B, with endless room and patience Erlang's C, in
// between Palm's model, Erlang-A (Palm 1957; Garnett, Mandelbaum and Reiman, "Designing a call
// center with impatient customers", 2002).
struct Queue {
  double arrivals = 0;           // a second
  double service_time = 1;       // seconds, mean
  double patience = 0;           // seconds, mean; 0: endless
  double servers = 1, room = 0;  // whole numbers
};

struct QueueResult {
  double waits = 0;      // share of requests that do not start at once (the refused not counted)
  double refused = 0;    // share that finds no room
  double abandoned = 0;  // share that gives up
  double mean_wait = 0;  // seconds, of all that are let in
  double busy = 0;       // mean share of servers
  double lost() const { return refused + abandoned; }
};

// The stationary state, by the ratios of neighbouring probabilities, from the most likely state
// outwards. Throws UsageError for negative or absurd inputs, and for endless patience and room at a
// load that no queue bears.
QueueResult Solve(const Queue& queue);

// The largest rate of arrivals at which no more than `share` of requests are lost.
double LargestArrivals(Queue queue, double share);

}  // namespace fathom
