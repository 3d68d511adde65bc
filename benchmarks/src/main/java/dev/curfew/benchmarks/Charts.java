package dev.curfew.benchmarks;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;

/** Draws each chart twice: for a light page and for a dark one. */
final class Charts {
    private static final int WIDTH = 1200;
    private static final int HEIGHT = 560;
    private static final double HIGHEST_RATIO = 3;

    private final Path folder;

    Charts(Path folder) {
        this.folder = folder;
    }

    private enum Theme {
        LIGHT("light", new Color(0xFFFFFF), new Color(0x1F2328), new Color(0xD1D9E0)),
        DARK("dark", new Color(0x0D1117), new Color(0xE6EDF3), new Color(0x3D444D));

        // Told apart also by those who see few colours.
        static final Color[] SERIES = {
            new Color(0x4C8DD6), new Color(0xE69F00), new Color(0x2BA77F), new Color(0xC46AA5), new Color(0x8C8C8C)
        };

        final String suffix;
        final Color background;
        final Color text;
        final Color grid;

        Theme(String suffix, Color background, Color text, Color grid) {
            this.suffix = suffix;
            this.background = background;
            this.text = text;
            this.grid = grid;
        }

        void applyTo(AxesChartStyler style) {
            var font = new Font(Font.SANS_SERIF, Font.PLAIN, 17);
            style.setChartBackgroundColor(background);
            style.setPlotBackgroundColor(background);
            style.setPlotBorderVisible(false);
            style.setChartFontColor(text);
            style.setChartTitleFont(font.deriveFont(Font.BOLD, 20f));
            style.setChartTitleFontColor(text);
            style.setChartTitleBoxVisible(false);
            style.setLegendBackgroundColor(background);
            style.setLegendBorderColor(background);
            style.setLegendFont(font);
            style.setLegendPosition(LegendPosition.OutsideS);
            style.setLegendLayout(LegendLayout.Horizontal);
            style.setSeriesColors(SERIES);
            style.setAxisTickLabelsColor(text);
            style.setAxisTickMarksColor(grid);
            style.setAxisTickLabelsFont(font.deriveFont(16f));
            style.setAxisTitleFont(font);
            style.setXAxisTitleColor(text);
            style.setYAxisTitleColor(text);
            style.setPlotGridLinesColor(grid);
            style.setPlotGridLinesStroke(new BasicStroke(1));
            style.setPlotGridVerticalLinesVisible(false);
        }
    }

    /**
     * Bars side by side; a missing one is {@code null}.
     *
     * @param series for each, one value for each category
     */
    void bars(
            String name,
            String title,
            String unit,
            boolean logarithmic,
            List<String> categories,
            Map<String, List<Number>> series) {
        draw(name, theme -> {
            CategoryChart chart = new CategoryChartBuilder()
                    .width(WIDTH)
                    .height(HEIGHT)
                    .title(title)
                    .yAxisTitle(unit)
                    .build();
            theme.applyTo(chart.getStyler());
            chart.getStyler().setYAxisLogarithmic(logarithmic);
            chart.getStyler().setYAxisMin(logarithmic ? decadeBelow(series.values()) : 0);
            if (!logarithmic) {
                chart.getStyler().setYAxisMax(HIGHEST_RATIO);
            }
            chart.getStyler().setAvailableSpaceFill(0.8);
            chart.getStyler()
                    .setXAxisLabelRotation(
                            categories.size() > 6 && categories.get(0).length() > 2 ? 20 : 0);
            series.forEach((label, values) -> chart.addSeries(label, categories, values));
            return chart;
        });
    }

    private static double decadeBelow(Collection<List<Number>> series) {
        double least = series.stream()
                .flatMap(List::stream)
                .mapToDouble(Number::doubleValue)
                .min()
                .orElse(1);
        return Math.pow(10, Math.floor(Math.log10(least)));
    }

    /** Lines over the numbers of records. */
    void lines(String name, String title, String unit, Map<String, Map<Integer, Double>> series) {
        draw(name, theme -> {
            XYChart chart = new XYChartBuilder()
                    .width(WIDTH)
                    .height(HEIGHT)
                    .title(title)
                    .xAxisTitle("records")
                    .yAxisTitle(unit)
                    .build();
            theme.applyTo(chart.getStyler());
            chart.getStyler().setXAxisLogarithmic(true);
            chart.getStyler().setYAxisLogarithmic(true);
            series.forEach((label, points) ->
                    chart.addSeries(label, List.copyOf(points.keySet()), List.copyOf(points.values())));
            return chart;
        });
    }

    private void draw(String name, Function<Theme, Chart<?, ?>> chart) {
        try {
            Files.createDirectories(folder);
            for (Theme theme : Theme.values()) {
                Path file = folder.resolve(name + "-" + theme.suffix + ".png");
                try (OutputStream png = Files.newOutputStream(file)) {
                    ChartEncoder.saveChart(chart.apply(theme), png, "png");
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What shows the chart in a page of Markdown. */
    static String markdown(String name, String description) {
        return """
                <picture>
                  <source media="(prefers-color-scheme: dark)" srcset="benchmarks/%1$s-dark.png">
                  <img alt="%2$s" src="benchmarks/%1$s-light.png">
                </picture>
                """.formatted(name, description);
    }
}
