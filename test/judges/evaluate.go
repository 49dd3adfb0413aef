package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

type sample struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
}

type evaluation struct {
	Expression string `json:"expression"`
	// Seconds since the epoch: of the samples and of the evaluation.
	Time   int64    `json:"time"`
	Series []sample `json:"series"`
}

// evaluate takes an expression and a sample of each series, and gives the vector that Prometheus computes.
func evaluate(line []byte) (any, error) {
	var input evaluation
	if err := json.Unmarshal(line, &input); err != nil {
		return nil, fmt.Errorf("not {expression, time, series}: %w", err)
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: 10 * time.Second})
	defer engine.Close()
	at := time.Unix(input.Time, 0)
	ctx := context.Background()
	query, err := engine.NewInstantQuery(ctx, scrape(input), nil, input.Expression, at)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	vector, err := query.Exec(ctx).Vector()
	if err != nil {
		return nil, err
	}
	samples := []sample{}
	for _, one := range vector {
		samples = append(samples, sample{Labels: one.Metric.Map(), Value: one.F})
	}
	return samples, nil
}

func scrape(input evaluation) storage.Queryable {
	find := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		found := &seriesSet{at: -1}
		for _, one := range input.Series {
			if matches(one.Labels, matchers) {
				found.series = append(found.series, seriesOf(one, input.Time*1000))
			}
		}
		return found
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: find}}
}

func seriesOf(one sample, time int64) storage.Series {
	chunk := chunkenc.NewXORChunk()
	// A new chunk in memory always takes a sample.
	appender, _ := chunk.Appender()
	appender.Append(time, one.Value)
	return &storage.SeriesEntry{
		Lset:             labels.FromMap(one.Labels),
		SampleIteratorFn: chunk.Iterator,
	}
}

func matches(values map[string]string, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(values[matcher.Name]) {
			return false
		}
	}
	return true
}

type seriesSet struct {
	series []storage.Series
	at     int
}

func (set *seriesSet) Next() bool                        { set.at++; return set.at < len(set.series) }
func (set *seriesSet) At() storage.Series                { return set.series[set.at] }
func (set *seriesSet) Err() error                        { return nil }
func (set *seriesSet) Warnings() annotations.Annotations { return nil }
